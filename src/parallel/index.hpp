// Two-dimensional indices that cannot be mixed up: a global element, a local element, a block and a
// process coordinate are different types, and only equal types compare.
#pragma once

#include <compare>
#include <cstdint>

namespace ntk::parallel {

template <class Tag>
struct Index2 {
  std::int64_t row = 0;
  std::int64_t column = 0;
  friend constexpr bool operator==(const Index2&, const Index2&) = default;
};

using GlobalElement = Index2<struct GlobalElementTag>;
using LocalElement = Index2<struct LocalElementTag>;
using GlobalBlock = Index2<struct GlobalBlockTag>;
using LocalBlock = Index2<struct LocalBlockTag>;
using Extent = Index2<struct ExtentTag>;   // a number of elements in each direction
using GridIndex = Index2<struct GridTag>;  // a process; (-1, -1) stands outside the grid

}  // namespace ntk::parallel
