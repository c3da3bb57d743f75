// NumPy's .npy, version 1.0, written row by row: a little-endian f32 matrix that numpy.load opens (also mapped).
// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Nothing else is written or read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/core/tensor.hpp"

namespace lab::formats {

/// Writes a matrix [rows, columns]; the file appears at `commit`, complete, or not at all.
class npy_writer {
public:
    npy_writer(std::filesystem::path path, std::size_t rows, std::size_t columns)
        : name_(path.string()), left_(checked_mul(rows, columns)), file_(std::move(path)) {
        std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
                             std::to_string(columns) + "), }";
        constexpr std::size_t prefix = 10, alignment = 64;  // magic, version, length; data on a multiple of 64
        header.append(alignment - 1 - (prefix + header.size()) % alignment, ' ').append(1, '\n');
        const auto length = static_cast<std::uint16_t>(header.size());
        file_.write(std::string_view("\x93NUMPY\x01\x00", 8));
        file_.write(std::as_bytes(std::span(&length, 1)));
        file_.write(header);
    }
    /// Appends the next values. @throws shape_error beyond the shape's end.
    void write(std::span<const float> values) {
        if (values.size() > left_) throw shape_error(explain(name_, "more values than the shape holds"));
        left_ -= values.size();
        file_.write(std::as_bytes(values));
    }
    /// @throws shape_error when values are missing.
    void commit() {
        if (left_ != 0) throw shape_error(explain(name_, std::to_string(left_) + " values are missing"));
        file_.commit();
    }

private:
    std::string name_;
    std::size_t left_;
    atomic_file file_;
};

}  // namespace lab::formats
