// What the parts of hdf5.cpp share.
#pragma once

#include <string>

#include "store/hdf5.hpp"

namespace ntk::store::h5 {

// Ends every complaint about contents.
inline constexpr const char* remade =
    "if the file is damaged or of another program, move it away and make it again";

std::string file_of(hid_t object);                           // the file's path
std::string in_file(const std::string& what, hid_t object);  // "WHAT of PATH", for messages
// Whether the object's file is so long.
bool file_holds(hid_t object, std::uint64_t bytes, const std::string& what);

// Whether a stored type is a number of usual size and layout, little-endian. Others may have any
// width and order of bits, which no file of ours has and HDF5 would convert.
bool plain_number(hid_t type);

Handle simple_space(const Dims& dims);

}  // namespace ntk::store::h5
