"""Kernel gradient descent and ridge regression by plain dense linear algebra, for comparison with
what the theory stage says. No eigendecomposition: the flow is a matrix exponential."""

import h5py
import numpy as np
import support


def centred(train, other):
    """(n, n) and (m, n) kernels without the training means; rows are samples."""
    row, all_rows = train.mean(0), train.mean()
    return (train - row[None, :] - row[:, None] + all_rows,
            other - other.mean(1, keepdims=True) - row[None, :] + all_rows)


def integrated_flow(matrix, time):
    """The integral of exp(-s matrix) over s from 0 to `time`, as the corner of exp([[-A, I], [0, 0]]
    time): Taylor series on a small step, then squaring."""
    n = len(matrix)
    if time == 0:
        return np.zeros((n, n))
    step = np.zeros((2 * n, 2 * n))
    step[:n, :n], step[:n, n:] = -matrix * time, np.eye(n) * time
    halvings = max(0, int(np.ceil(np.log2(np.abs(step).sum(1).max()))) + 3)
    step /= 2.0**halvings
    result, term = np.eye(2 * n), np.eye(2 * n)
    for order in range(1, 20):
        term = term @ step / order
        result += term
    for _ in range(halvings):
        result = result @ result
    return result[:n, n:]


def flow(train, other, labels, time):
    """Predictions at the other rows after total step size `time` on K/n; None: at its end."""
    k, cross = centred(train, other)
    n = len(k)
    y = labels - labels.mean(0)
    weights = np.linalg.pinv(k / n, rcond=1e-10) if time is None else integrated_flow(k / n, time)
    return labels.mean(0) + cross @ (weights @ y) / n


def ridge(train, other, labels, nu):
    k, cross = centred(train, other)
    n = len(k)
    return labels.mean(0) + cross @ np.linalg.solve(k / n + nu * np.eye(n), labels - labels.mean(0)) / n


def read_set(path, name):
    """The set's kernel and samples."""
    with h5py.File(path) as file:
        group = file[f"evaluate/{name}"]
        return group["total"][...], {k: v[...] for k, v in group["samples"].items()}


def read_train(path):
    with h5py.File(path) as file:
        samples = {k: v[...] for k, v in file["samples"].items()}
    return support.read_kernel(path), samples
