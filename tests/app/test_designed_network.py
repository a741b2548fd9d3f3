"""A linear "network": a checkpoint in BERT's layout whose Jacobian is a matrix of Gaussian features
with known variances. The whole program must give what is known of these features."""

import json
import unittest

import h5py
import numpy as np
import support

SAMPLES, FEATURES, PADDING = 256, 600, 168
HIDDEN = 2 * (FEATURES + PADDING)
ALPHA, SOURCE, NOISE = 2, 0.5, 0.05
EPS = 1e-12
TEST, SIZES, SEEDS = 64, (24, 48, 96), 4


def make_model(directory, z):
    """Token i + 1 is row i of z (0 is padding): of a text of it alone the last hidden
    state is k^(-ALPHA/2) z_k, k = 1 ... .

    Rows [z, -z, c, -c] have mean 0, and with c by row variance 1, so that layer norms leave them as
    they are; attention and MLP add nothing to them. The last norm's weight is the features' scale.
    """
    c = np.sqrt((HIDDEN / 2 - (z**2).sum(1)) / PADDING)[:, None] * np.ones(PADDING)
    rows = np.concatenate([z, -z, c, -c], axis=1)
    scale = np.zeros(HIDDEN)
    scale[:FEATURES] = np.arange(1, FEATURES + 1) ** (-ALPHA / 2)
    zeros, ones = np.zeros(HIDDEN), np.ones(HIDDEN)
    square, wide = np.zeros((HIDDEN, HIDDEN)), 8
    layer, norm = "encoder.layer.0.", ".LayerNorm."
    tensors = {
        "embeddings.word_embeddings.weight": np.concatenate([np.zeros((1, HIDDEN)), rows]),
        "embeddings.position_embeddings.weight": np.zeros((2, HIDDEN)),
        "embeddings.token_type_embeddings.weight": np.zeros((2, HIDDEN)),
        layer + "intermediate.dense.weight": np.ones((wide, HIDDEN)),
        layer + "intermediate.dense.bias": np.ones(wide),
        layer + "output.dense.weight": np.zeros((HIDDEN, wide)),
        layer + "output.dense.bias": zeros,
    }
    for name in ("query", "key", "value"):
        tensors[f"{layer}attention.self.{name}.weight"] = square
        tensors[f"{layer}attention.self.{name}.bias"] = ones
    tensors[layer + "attention.output.dense.weight"] = square
    tensors[layer + "attention.output.dense.bias"] = zeros
    for place, weight in (("embeddings", ones), (layer + "attention.output", ones),
                          (layer + "output", scale)):
        tensors[place + norm + "weight"] = weight
        tensors[place + norm + "bias"] = zeros
    directory.mkdir()
    support.pack_tensors(directory / "model.safetensors", tensors)
    config = {
        "architectures": ["BertModel"], "model_type": "bert", "hidden_size": HIDDEN,
        "num_hidden_layers": 1, "num_attention_heads": 8, "intermediate_size": wide,
        "vocab_size": len(z) + 1, "max_position_embeddings": 2, "type_vocab_size": 2,
        "hidden_act": "gelu", "layer_norm_eps": EPS, "pad_token_id": 0}
    (directory / "config.json").write_text(json.dumps(config))
    return features(rows, scale)


def features(rows, scale):
    """The last hidden states, from the weights as stored."""
    x = rows.astype(np.float32).astype(float)
    for weight in (np.ones(HIDDEN), np.ones(HIDDEN), scale.astype(np.float32).astype(float)):
        middle = x - x.mean(1)[:, None]
        x = middle / np.sqrt((middle**2).mean(1)[:, None] + EPS) * weight
    return x


def kappa_alpha(values, n):
    """The kappa-df exponent of theory.md, from all positive eigenvalues."""
    values = values[values > 1e-9 * values[0]]
    ridges = np.exp(np.linspace(np.log(100 * values[0]), np.log(0.05 * values[-1]), 400))
    df = (values / (values + ridges[:, None])).sum(1)
    kappa = ridges / (1 - df / n)
    inside = (df >= 5) & (df <= n / 2)
    return -1 / np.polyfit(np.log(kappa[inside]), np.log(df[inside]), 1)[0]


class Twister:
    """MT19937-64 (Matsumoto and Nishimura), the generator of the program's draws."""

    def __init__(self, seed):
        self.state, self.at = [seed], 312
        for i in range(1, 312):
            last = self.state[-1]
            self.state.append((6364136223846793005 * (last ^ last >> 62) + i) % 2**64)

    def next(self):
        if self.at == 312:
            for i in range(312):
                x = (self.state[i] & ~0x7FFFFFFF) | (self.state[(i + 1) % 312] & 0x7FFFFFFF)
                self.state[i] = (self.state[(i + 156) % 312] ^ x >> 1
                                 ^ (0xB5026F5AA96619E9 if x & 1 else 0))
            self.at = 0
        x = self.state[self.at]
        self.at += 1
        x ^= x >> 29 & 0x5555555555555555
        x ^= x << 17 & 0x71D67FFFEDA60000
        x ^= x << 37 & 0xFFF7EEE000000000
        return x ^ x >> 43

    def shuffled(self, count):
        order = list(range(count))
        for i in range(count, 1, -1):
            j = self.next() % i
            order[i - 1], order[j] = order[j], order[i - 1]
        return order


def oracle_risk(phi, labels, truth, train, test):
    """Least risk out of sample of gradient descent on theta, from the singular vectors of the
    features (not from a kernel)."""
    mean = phi[train].mean(0)
    u, s, v = np.linalg.svd(phi[train] - mean, full_matrices=False)
    values = s**2 / len(train)
    coefficients = u.T @ (labels[train] - labels[train].mean())
    best = np.inf
    for eta in np.exp(np.linspace(np.log(0.01 / values[0]), np.log(30 / values[-2]), 600)):
        theta = v.T @ (-np.expm1(-eta * values) / np.maximum(s, 1e-12) * coefficients)
        error = (phi[test] - mean) @ theta + labels[train].mean() - truth[test]
        best = min(best, np.mean(error**2))
    return best


class DesignedNetwork(support.Case):
    def setUp(self):
        super().setUp()
        generator = np.random.default_rng(3)
        z = generator.normal(size=(SAMPLES, FEATURES))
        phi = make_model(self.home / "model", z)
        k = np.arange(1, FEATURES + 1)
        # Coefficients a_k of z_k with a_k^2 = k^-(1 + 2 ALPHA SOURCE).
        truth = 2 + z @ (k ** (-0.5 - ALPHA * SOURCE) * generator.choice([-1, 1], FEATURES))
        target = truth + np.sqrt(NOISE) * generator.normal(size=SAMPLES)
        train = support.write_data(
            self.home / "train.h5", [np.array([i + 1]) for i in range(SAMPLES)],
            target=target[:, None], reference=truth, reference_variance=np.zeros(SAMPLES),
            noise_variance=np.full(SAMPLES, NOISE))
        self.run_well("run", self.job(
            train,
            model={"path": self.home / "model", "parameters": {"include": ["head.weight"]}},
            kernel={"precision": "fp64", "batch_samples": 128, "tile_samples": 64},
            spectrum={}, theory={"law_draws": 0, "test_samples": TEST, "sizes": SIZES,
                                 "seeds": SEEDS}), ranks=2, timeout=300)
        with h5py.File(self.home / "run" / "kernel.h5") as file:
            rows = file["samples/source_row"][...] - 1
        self.phi, self.truth, self.target = phi[rows], truth[rows], target[rows]
        theory = json.loads((self.home / "run" / "theory.json").read_text())
        self.report = theory["kernels"]["total"]

    def test_everything_known_comes_back(self):
        # The kernel is that of the features, and the features are the designed ones.
        kernel = support.read_kernel(self.home / "run" / "kernel.h5")
        self.assertLess(support.relative(self.phi @ self.phi.T, kernel), 1e-12)

        # Its exponent: that of these features by another algorithm, and the designed one within
        # what 256 rows leave open.
        values = np.linalg.svd(self.phi - self.phi.mean(0), compute_uv=False)**2 / SAMPLES
        alpha = self.report["decay"]["alpha"]["value"]
        self.assertAlmostEqual(alpha, kappa_alpha(values, SAMPLES), 6)
        self.assertAlmostEqual(alpha, ALPHA, delta=0.05)
        self.assertAlmostEqual(self.report["decay"]["worst_case_exponent"]["value"],
                               -ALPHA / (ALPHA + 1), delta=0.02)

        # Labels: in the RKHS only just (SOURCE = 1/2), noise as made.
        labels = self.report["labels"][0]
        self.assertAlmostEqual(labels["noise_variance"]["value"], NOISE, 12)
        self.assertAlmostEqual(labels["effective_noise"]["value"] / NOISE, 1, delta=0.35)

        # Learning curves, draw by draw.
        order = Twister(1).shuffled(SAMPLES)
        test = sorted(order[:TEST])
        pool = sorted(order[TEST:])
        curves = self.report["learning_curves"]
        self.assertEqual(curves["sizes"], list(SIZES))
        rules = {rule["rule"]: rule for rule in curves["labels"][0]["rules"]}
        for place, size in enumerate(SIZES):
            risks = []
            for draw in range(SEEDS):
                chosen = Twister(1 + draw).shuffled(len(pool))[:size]
                train = [pool[i] for i in sorted(chosen)]
                risks.append(oracle_risk(self.phi, self.target, self.truth, train, test))
            # The program's path has fewer points.
            self.assertAlmostEqual(rules["oracle"]["risk"][place] / np.mean(risks), 1, delta=2e-3)
        # Between the rate for this source and twice as flat, at so few rows.
        slope = -2 * ALPHA * SOURCE / (2 * ALPHA * SOURCE + 1)
        self.assertLess(rules["oracle"]["slope"]["value"], 0.5 * slope)


if __name__ == "__main__":
    support.main()
