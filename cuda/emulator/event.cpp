// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// core/event.hpp without a GPU: every launch has ended when it returns.
#include "core/event.hpp"

namespace flashket::cuda {

Event::Event(Stream) : event_(nullptr) {}
Event::~Event() = default;
void Event::block(Stream) const {}
bool Event::is_done() const { return event_ == nullptr; }

}  // namespace flashket::cuda
