// Small text helpers for messages and records.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ntk {

// The candidate with the smallest edit distance (Levenshtein) to `word`, the first of equals;
// empty when there is none.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

// "a, b, c".
std::string join(const std::vector<std::string>& words, std::string_view separator = ", ");

// Text of foreign origin made fit for a message: control characters become '?', the end of a long
// one is cut.
std::string printable(std::string_view text);

// Whether all of it is UTF-8, as JSON demands.
bool is_utf8(std::string_view text);

// Current time, UTC, as in 2024-05-17T09:30:00Z.
std::string time_stamp();

}  // namespace ntk
