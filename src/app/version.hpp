// The program's version and the state of the source it was built from (written by CMake).
#pragma once

namespace ntk::app {

extern const char* const version;
extern const char* const
    git_state;  // commit, "-dirty" when files were changed; "unknown" outside git
extern const char* const compiler;

}  // namespace ntk::app
