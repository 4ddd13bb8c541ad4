// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "core/event.hpp"

#include <cuda_runtime.h>

namespace flashket::cuda {
namespace {

void check(cudaError_t error, const char* place) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // an error that does not stick must not be reported again by the next call
  throw DeviceError(std::string("[") + place + "] CUDA reports " + cudaGetErrorName(error) + ": " +
                    cudaGetErrorString(error));
}

}  // namespace

Event::Event(Stream stream) {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  event_ = event;
  const cudaError_t recorded = cudaEventRecord(event, stream);
  if (recorded != cudaSuccess) cudaEventDestroy(event);
  check(recorded, "cudaEventRecord");
}

Event::~Event() {
  if (cudaEventDestroy(static_cast<cudaEvent_t>(event_)) != cudaSuccess) cudaGetLastError();  // not the next launch's
}

void Event::block(Stream waiting) const {
  check(cudaStreamWaitEvent(waiting, static_cast<cudaEvent_t>(event_), 0), "cudaStreamWaitEvent");
}

bool Event::is_done() const {
  const cudaError_t answer = cudaEventQuery(static_cast<cudaEvent_t>(event_));
  if (answer == cudaErrorNotReady) {
    cudaGetLastError();
    return false;
  }
  check(answer, "cudaEventQuery");
  return true;
}

}  // namespace flashket::cuda
