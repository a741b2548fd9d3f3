// Typed collectives, and failures that all ranks agree on.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/stop.hpp"

namespace ntk::parallel {

template <class T>
MPI_Datatype mpi_type();
template <>
inline MPI_Datatype mpi_type<int>() {
  return MPI_INT;
}
template <>
inline MPI_Datatype mpi_type<std::int64_t>() {
  return MPI_INT64_T;
}
template <>
inline MPI_Datatype mpi_type<double>() {
  return MPI_DOUBLE;
}

// Element-wise reductions onto all ranks, in place; T is int, std::int64_t or double. Vectors may
// be longer than 2^31 elements.
template <class T>
void all_reduce(MPI_Comm comm, std::span<T> values, MPI_Op operation);

template <class T>
T all_reduce(MPI_Comm comm, T value, MPI_Op operation) {
  all_reduce(comm, std::span<T>(&value, 1), operation);
  return value;
}
template <class T>
T all_max(MPI_Comm comm, T value) {
  return all_reduce(comm, value, MPI_MAX);
}
template <class T>
T all_min(MPI_Comm comm, T value) {
  return all_reduce(comm, value, MPI_MIN);
}
template <class T>
T all_sum(MPI_Comm comm, T value) {
  return all_reduce(comm, value, MPI_SUM);
}
template <class T>
void all_sum(MPI_Comm comm, std::vector<T>& values) {
  all_reduce(comm, std::span<T>(values), MPI_SUM);
}
template <class T>
void all_max(MPI_Comm comm, std::vector<T>& values) {
  all_reduce(comm, std::span<T>(values), MPI_MAX);
}

// Sums onto `root`, in place there; the other ranks' values are left as they were.
void sum_to(MPI_Comm comm, std::vector<double>& values, int root = 0);

// Bytes of any length from `root` to all; the caller has allocated equal lengths everywhere.
void broadcast(MPI_Comm comm, void* bytes, std::size_t count, int root = 0);
// The root's text; every rank's `text` is replaced.
void broadcast(MPI_Comm comm, std::string& text, int root = 0);

// Every rank's text in rank order, on `root`; an empty vector elsewhere.
std::vector<std::string> gather(MPI_Comm comm, std::string_view text, int root = 0);
std::vector<std::string> all_gather(MPI_Comm comm, std::string_view text);

// An error that every rank of the communicator throws at the same point, so that the job can wind
// down in order. Any other exception is one rank's own and ends in MPI_Abort.
class AgreedError : public Error {
 public:
  using Error::Error;
};

// Collective. Throws AgreedError on every rank if any rank gives a code other than `complete`: the
// code and text of the first such rank, with its number unless all ranks failed alike.
void agree(MPI_Comm comm, ExitCode code, const std::string& text);

struct Outcome {
  ExitCode code = ExitCode::complete;
  std::string text;
};

// What comes of local work. std::bad_alloc becomes Error(resources), exceptions that are not ours
// Error(internal).
template <class Work>
Outcome outcome_of(Work&& work) {
  try {
    work();
    return {};
  } catch (const Error& error) {
    return {error.code(), error.what()};
  } catch (const std::bad_alloc&) {
    return {ExitCode::resources, "out of memory (an allocation failed) use more ranks or nodes"};
  } catch (const std::exception& error) {
    return {ExitCode::internal, error.what()};
  }
}

// Collective around purely local work: runs it on every rank and agrees on the outcome, so that
// one rank's failed read or allocation cannot leave the others waiting. std::bad_alloc becomes
// Error(resources), other exceptions Error(internal).
template <class Work>
void collectively(MPI_Comm comm, Work&& work) {
  const Outcome outcome = outcome_of(work);
  agree(comm, outcome.code, outcome.text);
}

// Collective: what any rank was asked to stop by, which then all were.
stop::Reason agree_on_stop(MPI_Comm comm);

// Collective barrier that sleeps instead of spinning, for ranks that sit out a long computation.
// They count as alive meanwhile (base/heartbeat.hpp).
void wait_idle(MPI_Comm comm);

// Collective around work of the first rank alone, which the others sit out: all throw its error.
template <class Work>
void on_first(MPI_Comm comm, Work&& work) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  const Outcome outcome = rank == 0 ? outcome_of(work) : Outcome();
  wait_idle(comm);
  agree(comm, outcome.code, outcome.text);
}

}  // namespace ntk::parallel
