// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Compares our declarations of a library's functions with the library's header, at compile time.
#pragma once
#include <type_traits>

namespace flashket::cuda {

// An enumeration passes as int, also behind pointers; a complex number as two doubles; every other type must be the
// same.
template <class T>
struct Canonical {
  using type = std::conditional_t<std::is_enum_v<T>, int, T>;
};
template <class T>
struct Canonical<const T> {
  using type = const typename Canonical<T>::type;
};
template <class T>
struct Canonical<T*> {
  using type = typename Canonical<T>::type*;
};
template <class A, class B>
constexpr bool is_same_argument = std::is_same_v<typename Canonical<A>::type, typename Canonical<B>::type>;

template <class Ours, class Theirs>
struct Agree : std::false_type {};
template <class R, class... P, class S, class... Q>
struct Agree<R (*)(P...), S (*)(Q...)> {
  static constexpr bool value = [] {
    if constexpr (sizeof...(P) == sizeof...(Q))
      return is_same_argument<R, S> && (is_same_argument<P, Q> && ...);
    else
      return false;
  }();
};

}  // namespace flashket::cuda
