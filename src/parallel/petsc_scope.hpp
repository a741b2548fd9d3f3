// PETSc on one communicator, for a while. A header alone: only modules that include it need PETSc.
#pragma once

#include <petscsys.h>

#include <string>

#include "base/error.hpp"

namespace ntk::parallel {

inline std::string& petsc_text() {
  static std::string text;
  return text;
}

// Keeps the first (innermost) message and returns the code up the stack: nothing is printed,
// nothing aborts.
inline PetscErrorCode keep_petsc_error(MPI_Comm, int, const char* function, const char*,
                                       PetscErrorCode code, PetscErrorType type,
                                       const char* message, void*) {
  if (type == PETSC_ERROR_INITIAL) {
    petsc_text() =
        fmt::format("{} in {}", message ? message : "no text", function ? function : "?");
  }
  return code;
}

// Error(numerical) with PETSc's text where a call failed.
inline void check_petsc(PetscErrorCode code, const char* what, const char* advice) {
  if (code == 0) return;
  fail(ExitCode::numerical, "{} failed (PETSc error {}: {}) {}", what, static_cast<int>(code),
       petsc_text(), advice);
}

// PETSc, or a library on top of it, on one communicator for this object's life. It sees no command
// line, no options file, and installs no signal handlers. One at a time.
class PetscScope {
 public:
  using Start = PetscErrorCode (*)(int*, char***, const char[], const char[]);
  using End = PetscErrorCode (*)();

  explicit PetscScope(MPI_Comm comm, Start start = PetscInitialize, End end = PetscFinalize)
      : end_(end) {
    const char* advice = "check the installation of PETSc";
    PETSC_COMM_WORLD = comm;
    // Read before initialisation: the user's ~/.petscrc and PETSc's signal handlers stay out.
    check_petsc(PetscOptionsSetValue(nullptr, "-skip_petscrc", nullptr), "PetscOptionsSetValue",
                advice);
    check_petsc(PetscOptionsSetValue(nullptr, "-no_signal_handler", nullptr),
                "PetscOptionsSetValue", advice);
    check_petsc(start(nullptr, nullptr, nullptr, nullptr), "PetscInitialize", advice);
    check_petsc(PetscPushErrorHandler(keep_petsc_error, nullptr), "PetscPushErrorHandler", advice);
  }
  ~PetscScope() {
    PetscPopErrorHandler();
    end_();
  }
  PetscScope(const PetscScope&) = delete;
  PetscScope& operator=(const PetscScope&) = delete;

 private:
  End end_;
};

template <class T, PetscErrorCode (*Destroy)(T*)>
struct PetscOwned {
  T object = nullptr;
  PetscOwned() = default;
  ~PetscOwned() {
    if (object) Destroy(&object);
  }
  PetscOwned(const PetscOwned&) = delete;
  PetscOwned& operator=(const PetscOwned&) = delete;
  operator T() const { return object; }
};

}  // namespace ntk::parallel
