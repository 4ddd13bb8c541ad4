// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/library.hpp"

#include <dlfcn.h>
#include <link.h>

namespace flashket::cuda {

namespace {

std::vector<std::string> candidates(const LibraryPlace& place, const std::vector<std::string>& folders) {
  std::vector<std::string> paths;
  for (const std::string& folder : folders) {
    paths.push_back(folder + "/" + place.soname);
    paths.push_back(folder + "/" + place.wheel_folder + "/" + place.soname);
  }
  paths.emplace_back(place.soname);
  return paths;
}

}  // namespace

void Library::preload(const LibraryPlace& place, const std::vector<std::string>& folders) {
  for (const std::string& path : candidates(place, folders))
    if (dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) != nullptr) return;
}

Library::Library(const LibraryPlace& place, const std::vector<std::string>& folders) : title_(place.title) {
  std::string tried;
  for (const std::string& path : candidates(place, folders)) {
    handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ != nullptr) break;
    tried += std::string(tried.empty() ? "" : "; ") + dlerror();
  }
  if (handle_ == nullptr)
    throw LibraryMissing(std::string(place.title) + " (" + place.soname + ") cannot be loaded: " + tried +
                         "; run: pip install " + place.wheel);
  const link_map* map = nullptr;
  path_ = dlinfo(handle_, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr ? map->l_name : place.soname;
}

void* Library::symbol(const char* name) const {
  void* found = dlsym(handle_, name);
  if (found == nullptr)
    throw LibraryMissing(std::string(title_) + " at " + path_ + " has no function " + name +
                         ": it is another version than FlashKet needs");
  return found;
}

}  // namespace flashket::cuda
