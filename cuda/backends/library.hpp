// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Shared libraries opened on first use: the module imports where they are absent, and says what is missing when asked.
#pragma once
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace flashket::cuda {

// A library or one of its functions is not there. The text names it, where it was looked for and what to install.
struct LibraryMissing : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A call of a library failed; the text names the call and the library's reason.
struct LibraryError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct LibraryPlace {
  const char* title;         // "cuStateVec"
  const char* soname;        // "libcustatevec.so.1"
  const char* wheel_folder;  // "cuquantum/lib" below a site-packages folder
  const char* wheel;         // what pip installs
};

class Library {
 public:
  // Opens what a library needs from where its own wheel keeps it, so that the loader finds it by name; one that is not
  // there is reported by the library that misses it.
  static void preload(const LibraryPlace& place, const std::vector<std::string>& folders);
  // Looks in `folders` (each is tried itself and with the wheel folder below it), then where the system's loader looks.
  // Stays open until the process ends: CUDA libraries do not survive being closed. Throws LibraryMissing.
  Library(const LibraryPlace& place, const std::vector<std::string>& folders);
  void* symbol(const char* name) const;              // throws LibraryMissing
  const std::string& path() const { return path_; }  // of the file that was opened

 private:
  const char* title_;
  void* handle_ = nullptr;
  std::string path_;
};

// Handles of a library, one a thread and device. A thread that ends leaves its handles to those that come later: as
// many are made as threads call at a time, and none is destroyed, which needs a driver that may be gone by then.
template <class Handle>
class Handles {
 public:
  // The calling thread's handle for a device; create(Handle*) makes one where none is left.
  template <class Create>
  static Handle of(int device, const Create& create) {
    thread_local Lease lease;
    Handle& handle = lease.held[device];
    if (handle != nullptr) return handle;
    {
      const std::lock_guard<std::mutex> guard(left().lock);
      std::vector<Handle>& free = left().handles[device];
      if (!free.empty()) {
        handle = free.back();
        free.pop_back();
        return handle;
      }
    }
    create(&handle);
    return handle;
  }

 private:
  struct Left {
    std::mutex lock;
    std::map<int, std::vector<Handle>> handles;
  };
  struct Lease {
    std::map<int, Handle> held;
    ~Lease() {
      const std::lock_guard<std::mutex> guard(left().lock);
      for (const auto& [device, handle] : held)
        if (handle != nullptr) left().handles[device].push_back(handle);
    }
  };
  static Left& left() {
    static Left* const all = new Left;  // not destroyed: threads may end later
    return *all;
  }
};

}  // namespace flashket::cuda
