// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What the test programs share: checks that count, and arrays that cross to the device and back.
#pragma once
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/launch.hpp"

namespace flashket::cuda::test {

inline int checks = 0, failures = 0;

inline void check(bool is_right, const std::string& what) {
  ++checks;
  if (is_right) return;
  ++failures;
  printf("FAILED: %s\n", what.c_str());
}

template <class T>
void check_close(T got, T wanted, double tolerance, const std::string& what) {
  const bool is_close = std::fabs(static_cast<double>(got) - static_cast<double>(wanted)) <= tolerance;
  check(is_close, what + ": wanted " + std::to_string(wanted) + ", got " + std::to_string(got));
}

// The text of the DeviceError that f throws; empty if it throws none.
template <class F>
std::string error_of(const F& f) {
  try {
    f();
  } catch (const DeviceError& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

template <class T>
Array<T> to_device(const std::vector<T>& host) {
  Array<T> array(static_cast<int64_t>(host.size()), nullptr);
  copy_to_device(array.get(), host.data(), host.size() * sizeof(T), nullptr);
  return array;
}
template <class T>
std::vector<T> to_host(const Array<T>& array) {
  std::vector<T> host(array.size() / sizeof(T));
  copy_to_host(host.data(), array.get(), array.size(), nullptr);
  return host;
}

// Prints the count and gives main's exit code. A program that needs a GPU and has none says so and passes.
inline int finish(const char* name) {
  printf("%s: %d checks, %d failed\n", name, checks, failures);
  return failures ? 1 : 0;
}
inline bool has_device(const char* name) {
  if (device_count() > 0) return true;
  printf("%s: no GPU (%s)\n", name, device_reason().c_str());
  return false;
}

}  // namespace flashket::cuda::test
