// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Shared libraries opened on first use: the module imports where they are absent, and says what is missing when asked.
#pragma once
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

}  // namespace flashket::cuda
