// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <utility>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace flashket {

// Uninitialised memory on a cache line boundary. Throws std::bad_alloc.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t size) : size_(size) {
    if (size < 0 || size > std::numeric_limits<int64_t>::max() / 128) throw std::bad_alloc();
    const size_t bytes = (static_cast<size_t>(size) * sizeof(T) + 127) / 64 * 64;
    constexpr size_t huge = size_t{2} << 20;
    const bool is_large = bytes >= 2 * huge;
    data_ =
        static_cast<T*>(std::aligned_alloc(is_large ? huge : 64, is_large ? (bytes + huge - 1) / huge * huge : bytes));
    if (data_ == nullptr) throw std::bad_alloc();
#if defined(__linux__)
    // Fewer page faults and translations; where the system does not know the advice nothing is lost.
    if (is_large) madvise(data_, bytes, MADV_HUGEPAGE);
#endif
  }
  Buffer(Buffer&& other) noexcept : data_(other.data_), size_(other.size_) { other.data_ = nullptr; }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() { std::free(data_); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  int64_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace flashket
