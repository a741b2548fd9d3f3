"""model.initialisation: kernels of bodies that are drawn anew, wholly or in their last layers."""

import hashlib
import json

import h5py
import numpy as np

import support
from support import STATUS

USAGE = 2


def mersenne_twister(seed):
    """MT19937-64 (Nishimura and Matsumoto), which numpy does not have."""
    words = [seed]
    for i in range(1, 312):
        last = words[-1] ^ words[-1] >> 62
        words.append((6364136223846793005 * last + i) % 2**64)
    while True:
        for i in range(312):
            x = words[i] >> 31 << 31 | words[(i + 1) % 312] % 2**31
            words[i] = words[(i + 156) % 312] ^ x >> 1 ^ (0xB5026F5AA96619E9 if x % 2 else 0)
        for y in words:
            y ^= y >> 29 & 0x5555555555555555
            y ^= y << 17 & 0x71D67FFFEDA60000
            y ^= y << 37 & 0xFFF7EEE000000000
            yield y ^ y >> 43


def normals(text, count):
    """Box and Muller from the first 64 bits of the text's SHA-256."""
    bits = mersenne_twister(int(hashlib.sha256(text.encode()).hexdigest()[:16], 16))
    uniform = np.array([((next(bits) >> 11) + 1) * 2.0**-53 for _ in range(2 * count)])
    return np.sqrt(-2 * np.log(uniform[::2])) * np.cos(2 * np.pi * uniform[1::2])


class Initialisations(support.Case):
    def setUp(self):
        super().setUp()
        self.train = support.write_classes(self.home / "train.h5", self.generator, 40)

    def init_job(self, directory, initialisation, **model):
        return self.job(self.train, directory, model={"initialisation": initialisation, **model},
                        kernel={"precision": "fp64", "groups": "layer"})

    def kernel(self, directory, initialisation, ranks=2, **model):
        self.run_well("kernel", self.init_job(directory, initialisation, **model), ranks=ranks)
        return support.contents(self.home / directory / "kernel.h5")

    def test_kernels_differ_and_come_again(self):
        found = {
            "pretrained": self.kernel("pretrained", "pretrained"),
            "random": self.kernel("random", "random"),
            "seed": self.kernel("seed", "random", initialisation_seed=2),
            "mixed": self.kernel("mixed", "mixed", reinitialised_layers=1),
            "deep": self.kernel("deep", "mixed", reinitialised_layers=2),
        }
        totals = {name: of["kernel/total"][2] for name, of in found.items()}
        self.assertEqual(len(set(totals.values())), 5)
        again = self.kernel("again", "mixed", ranks=4, reinitialised_layers=1)
        self.assertEqual(again, found["mixed"])
        # The self-check, which draws for itself, agrees with what was stored.
        for name in found:
            with h5py.File(self.home / name / "kernel.h5") as file:
                self.assertLess(file["error/largest"][()], 1e-10 * file["error/rms"][()], name)

    def test_the_body_is_that_of_a_checkpoint_with_the_drawn_values(self):
        self.kernel("mixed", "mixed", reinitialised_layers=1)
        model = self.copy_model()
        weights = model / "model.safetensors"
        header, data = support.read_safetensors(weights)
        for name, info in header.items():
            if ".layer.1." not in name:
                continue
            first, last = info["data_offsets"]
            count = (last - first) // 4
            if name.endswith("LayerNorm.weight"):
                values = np.ones(count)
            else:
                values = np.zeros(count) if name.endswith(".bias") else normals(f"1 {name}", count)
            data[first:last] = (0.02 * values if values.std() else values).astype("<f4").tobytes()
        support.write_safetensors(weights, header, data)
        job = self.job(self.train, "given", model={"path": model},
                       kernel={"precision": "fp64", "groups": "layer"})
        self.run_well("kernel", job, ranks=2)
        a, b = (support.read_kernel(self.home / name / "kernel.h5") for name in ("mixed", "given"))
        self.assertLess(support.relative(a, b), 1e-13)

    def test_it_is_part_of_the_identity(self):
        self.kernel("run", "mixed", reinitialised_layers=1)
        for changes in ({"initialisation": "random"}, {"reinitialised_layers": 2},
                        {"initialisation_seed": 7}):
            keys = {"initialisation": "mixed", "reinitialised_layers": 1, **changes}
            result = support.run("kernel", self.init_job("run", **keys), ranks=2)
            self.assert_refused(result, USAGE, "another job's kernel",
                                f"model.{next(iter(changes))}", status=STATUS[USAGE])
        with h5py.File(self.home / "run" / "kernel.h5") as file:
            identity = json.loads(file.attrs["identity"])
        self.assertEqual(identity["model.reinitialised_layers"], 1)
        self.assertEqual(identity["model.initializer_range"], 0.02)

    def test_refusals(self):
        for layers, words in ((0, "nothing would be drawn"), (3, "give 1 to 2")):
            result = support.run("kernel", self.init_job("run", "mixed",
                                                         reinitialised_layers=layers))
            self.assert_refused(result, USAGE, words, status=STATUS[USAGE])
        result = support.run("kernel", self.init_job("run", "mixd"))
        self.assert_refused(result, USAGE, "model.initialisation", status=STATUS[USAGE])

    def test_plan(self):
        result = support.run("plan", self.init_job("run", "random"), "--ranks", 2)
        self.assertEqual(result.code, 0, result.text)


if __name__ == "__main__":
    support.main()
