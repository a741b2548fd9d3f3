"""A small run directory in the documented layout, for tests of what reads one."""

import json

import h5py
import numpy as np

N = 40


def quantity(value, **more):
    return {"value": value, "unit": "1", "rule": "a rule", **more}


def rule(name, risk):
    return {
        "rule": name, "meaning": f"stops as {name} does", "eta_median": [None if name == "never" else 2.0] * 2,
        "risk": risk, "low": [r - 0.1 for r in risk], "high": [r + 0.1 for r in risk],
        "to_oracle": [1.0, 1.25], "to_oracle_low": [1.0, 1.1], "to_oracle_high": [1.0, 1.5],
        "slope": {"value": -0.3, "low": -0.4, "high": -0.2}, "local_slopes": [-0.3],
        "in_sample": [0.5, None], "in_sample_slope": None}  # fmt: skip


def stop(eta, **more):
    return {
        **quantity(eta), "never": eta is None, "steps": quantity(eta), "df": quantity(7.0),
        "in_sample_bias": quantity(-0.01), "in_sample_variance": quantity(0.2), **more}  # fmt: skip


def label_set(name):
    point = {"n": 20, "risk": 0.9, "standard_error": 0.1, "df": 5.0, "noise_share": 0.1,
             "never_stopping": 1.07}
    return {
        "name": name, "label_variance": quantity(2.0), "noise_variance": quantity(0.5, rule="data: mean"),
        "effective_noise": quantity(0.6), "signal_variance": quantity(1.5), "rkhs_norm2": quantity(3.0),
        "growth": quantity(1.5, rows=N, target_in_rkhs=False),
        "plug_in": {"unit": "y^2", "rule": "predicted", "slope": quantity(-0.4), "curve": [
            point, {**point, "n": 40, "risk": None, "noise_share": None, "never_stopping": None}]},
        "target": {"predictions": {
            "noisy": quantity(-0.16, low=-0.17, high=-0.15, window=[5, 20]), "ridge_noisy": None}},
        "stopping": {"gcv": stop(4.0), "rwy": stop(2.0, bound=quantity(9.0), vacuous=True)},
        "evaluate": {"tweets": judged([
            {"rule": "oracle", "meaning": "m", "eta": 3.0, "risk": 2.5, "low": 2.1, "high": 2.9},
            {"rule": "never", "meaning": "m", "eta": None, "risk": 3.25, "low": 3.0, "high": 3.5}])}}  # fmt: skip


def judged(rules):
    return {"rows": 12, "parts": 6, "groups_kept_whole": True, "judged_by": "reference", "excess": True,
            "rules": rules}  # fmt: skip


def study_of(name):
    return {
        "name": name, "judged_by": "reference", "excess": True,
        "rules": [rule("oracle", [2.0, 1.5]), rule("gcv", [2.1, 1.6]), rule("never", [2.4, 1.9])],
        "evaluate": {"tweets": judged([rule("oracle", [2.75, 2.625])])},
        "plug_in": {"rule": "r", "draws": 3, "risk": [1.9, 1.4], "low": [1.8, 1.2], "high": [2.2, 1.7],
                    "slope": {"value": -0.4, "low": -0.5, "high": -0.3}},
        "path": {"n": 20, "draw": 0, "eta": [0.01, 0.1, 1.0], "flow": [4.0, 1.5, 2.4],
                 "ridge": [4.0, 1.6, 2.5], "in_sample": [4.0, 2.0, 0.5], "stops": [
                     {"rule": "oracle", "eta": 0.1, "risk": 1.5}, {"rule": "never", "eta": None, "risk": 2.5}]},
        "corrected": {"rule": "corrected", "n": 20, "draws": 3, "risk": 1.45, "low": 1.2, "high": 1.8,
                      "measured": 1.5, "error": -0.03, "plug_in_error": 0.25,
                      "leave_one_out_error": -0.01, "leverage_bias": 0.08, "scatter": 0.1,
                      "covered": 1.0}}  # fmt: skip


def kernel_report(names=("target",)):
    spectrum = {key: quantity(2.0) for key in (
        "trace", "l_1", "l_1_share", "stable_rank", "participation_ratio")}  # fmt: skip
    alpha = quantity(1.2, window=[5.0, 20.0], points=9, rms=0.01, sd=0.02)
    law = {
        "law": "power", "parameters": {"A": 1.0, "alpha": 1.2}, "rms": 0.01, "extrapolation_rms": None,
        "draws": 8, "accepted": False,
        "statistics": [{"name": "l_1", "observed": 1.0, "low": 2.0, "high": 3.0, "inside": False}]}  # fmt: skip
    return {
        "kernel": {"samples": N, "rows_per_sample": 1, "n": N, "centring": "c", "f0": "subtract",
                   "diagonal_cv": quantity(0.25)},
        "spectrum": {"raw": spectrum, "centred": spectrum, "modes": quantity(39), "resolved": 30,
                     "floor": quantity(1e-9)},
        "decay": {
            "alpha": alpha, "alpha_low": alpha, "alpha_high": None, "alpha_rank": alpha,
            "alpha_rank_all": None, "alpha_drift": quantity(0.2), "worst_case_exponent": quantity(-0.55),
            "local_slopes": [alpha], "stretched": [], "verdict": {"kind": "polynomial"},
            "alpha_map": {"rule": "lines", "first": [1, 5], "last": [10, 20],
                          "alpha": [[1.0, 1.1], [None, 1.2]]},
            "alpha_by_n": [{"n": 20, "alpha": 1.1}, {"n": 40, "alpha": 1.2}],
            "local_exponents": [{"rank": 2.0, "exponent": 1.0}, {"rank": 9.0, "exponent": 1.3}],
            "laws": {"rule": "least squares", "rows": N, "fits": [law]},
            "plateau": {"found": False, "law": None, "text": "no plateau: of a test"}},
        "labels": [label_set(name) for name in names],
        "learning_curves": {
            "unit": "y^2", "rule": "r", "sizes": [10, 20], "seeds": 3, "test_rows": 10, "test_parts": 5,
            "pool_rows": 30, "groups_kept_whole": True, "labels": [study_of(name) for name in names]},
        "limits": [], "caveats": ["a caveat of the test"]}  # fmt: skip


def make_partial(report):
    """As from leading pairs: errors, ranges, what is not known."""
    for name in ("alpha", "alpha_low"):
        report["decay"][name] = {**report["decay"][name], "error": 0.011, "window": [5.0, 14.0]}
    report["decay"]["alpha_rank_all"] = None
    report["spectrum"]["modes"] = quantity(8)
    label = report["labels"][0]
    label["effective_noise"]["error"] = 0.013
    label["rkhs_norm2"] = quantity(None, error=0.7)
    label["plug_in"]["slope"] = quantity(None)
    for point in label["plug_in"]["curve"]:
        point["error"] = 0.04
    label["stopping"] = {"gcv": stop(4.0, range=[3.5, None])}
    for name in ("df", "in_sample_bias", "in_sample_variance"):
        label["stopping"]["gcv"][name]["error"] = 0.031
    label["stopping"]["gcv"]["in_sample_variance"]["value"] = None
    report["limits"] = ["label set target: 8 leading pairs do not give within 10 %: rkhs_norm2"]


def theory(kernels=("body", "total"), names=("target",)):
    return {
        "format": "ntkspectra-theory", "format_version": 4, "fingerprint": "f",
        "settings": {"kernels": {k: "all" if k == "total" else k for k in kernels}},
        "kernels": {k: kernel_report(names) for k in kernels}}  # fmt: skip


def write_kernel(directory, groups=("body", "head"), triangle="full", classes=False, outputs=1):
    generator = np.random.default_rng(1)
    parts = {name: generator.normal(size=(N * outputs, 60)) for name in groups}
    with h5py.File(directory / "kernel.h5", "w") as file:
        total = np.zeros((N * outputs, N * outputs))
        for name, part in parts.items():
            k = part @ part.T
            total += k
            file[f"kernel/groups/{name}"] = k if triangle == "full" else np.tril(k)
            file[f"kernel/groups/{name}"].attrs["triangle"] = triangle
        if not groups:
            total = np.eye(N * outputs) + 0.1
        file["kernel/total"] = total if triangle == "full" else np.tril(total)
        file["kernel/total"].attrs["triangle"] = triangle
        if classes:
            file["samples/label"] = np.arange(N, dtype=np.int32) % 3
        else:
            file["samples/target"] = generator.normal(size=(N, 2))
        file["samples/outputs"] = generator.normal(size=(N, outputs))
        file.attrs.update({"rows_per_sample": outputs, "ntkspectra": "0.1.0", "job": "[run]\nseed = 1\n"})
        file["error/delta"] = 1e-6
    return total


def write_spectrum(directory, total, kernels=("body", "total"), pairs=None):
    with h5py.File(directory / "spectrum.h5", "w") as file:
        for name in kernels:
            for form in ("raw", "centred"):
                group = file.create_group(f"{name}/{form}")
                group["eigenvalues"] = np.linalg.eigvalsh(total / len(total))[::-1][:pairs]
                group.attrs.update({"n": len(total), "floor_independent": 1e-9, "resolved": 30, "trace": 2.0})


def write_theory(directory, content):
    (directory / "theory.json").write_text(json.dumps(content))


def write_run(directory):
    """Everything, in the plainest form."""
    write_spectrum(directory, write_kernel(directory))
    write_theory(directory, theory())
    summary = {
        "status": "complete", "exit_code": 0, "ranks": 1, "threads": 2, "versions": {"ntkspectra": "0.1.0"},
        "timings": {"kernel": 1.5}, "kernel": {"made": {"ranks": 2, "threads": 1}, "reused": True},
        "job": "[run]\nseed = 1\n"}  # fmt: skip
    (directory / "summary.json").write_text(json.dumps(summary))
