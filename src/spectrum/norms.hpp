// Traces, norms, the collective finite check and centring of distributed symmetric matrices.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spectrum/block_cyclic.hpp"

namespace ntk::spectrum {

struct Norms {
  double trace = 0;
  double frobenius = 0;  // free of overflow for entries up to 1e300
};

// Collective; the same numbers on every rank.
Norms norms(const BlockCyclicMatrix& a);

// Collective, before every solve: with NaNs solvers hang or return zeros as if all were well
// (PDSYEVD, PDSYEVR of ScaLAPACK 2.2.1). Throws AgreedError(numerical) on every rank, with the
// number of bad entries and the place of the first.
void require_finite(const BlockCyclicMatrix& a, const std::string& name);

// Means of a symmetric kernel over the samples, for each output c of C = outputs:
// rows[r C + c] = mean over j of K[r, (j, c)]; grand[c C + c'] = mean over i, j of K[(i,c),
// (j,c')].
struct CentringMeans {
  std::int64_t outputs = 1;
  std::vector<double> rows;
  std::vector<double> grand;
};

// Collective.
CentringMeans means(const BlockCyclicMatrix& a, std::int64_t outputs);

// Local: K := H K H with H = (I - 11'/N) (x) I_C, entrywise K - mean - mean' + grand mean. Exactly
// symmetric when K is.
void centre(BlockCyclicMatrix& a, const CentringMeans& means);

// Centres rows of an evaluation kernel (`rows` x n, row-major, whole samples or not, first row
// `row`) by the training means: K - rowmean(K) - colmean(train) + mean(train), for each output.
void centre_evaluation(std::int64_t row, std::int64_t rows, const CentringMeans& means, double* k);

}  // namespace ntk::spectrum
