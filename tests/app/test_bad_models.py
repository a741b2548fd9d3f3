"""Model directories that are missing, damaged, hostile or not supported: refused like other bad
input (test_bad_input.py)."""

import os

import numpy as np

import support
from refusals import INPUT, RANKS, BadInput, change_config
from support import HIDDEN


class Models(BadInput):
    def model_refused(self, code, *words, model, **tables):
        self.refused(code, *words, model={"path": model, **tables.pop("model", {})}, **tables)

    def broken_weights(self, change):
        """A model directory whose weights file went through change(header, data)."""
        model = self.copy_model()
        weights = model / "model.safetensors"
        header, data = support.read_safetensors(weights)
        support.write_safetensors(weights, *(change(header, data) or (header, data)))
        return model

    def test_missing_directory(self):
        self.model_refused(INPUT, "no-model", model=self.home / "no-model")

    def test_missing_weights(self):
        model = self.copy_model()
        (model / "model.safetensors").unlink()
        self.model_refused(INPUT, "model.safetensors", model=model)

    def test_pickled_weights(self):
        model = self.copy_model()
        (model / "model.safetensors").rename(model / "pytorch_model.bin")
        self.model_refused(INPUT, "model.safetensors", "pytorch_model.bin", "save_pretrained",
                           model=model)

    def test_missing_config(self):
        model = self.copy_model()
        (model / "config.json").unlink()
        self.model_refused(INPUT, "config.json", model=model)

    def test_config_that_is_no_json(self):
        model = self.copy_model()
        (model / "config.json").write_text('{"model_type": "bert",')
        self.model_refused(INPUT, "config.json", model=model)

    def test_truncated_weights(self):
        model = self.copy_model()
        weights = model / "model.safetensors"
        os.truncate(weights, weights.stat().st_size - 1000)
        self.model_refused(INPUT, "model.safetensors", model=model)
        os.truncate(weights, 100)
        self.model_refused(INPUT, "model.safetensors", model=model)
        os.truncate(weights, 3)
        self.model_refused(INPUT, "model.safetensors", model=model)

    def test_header_length_beyond_the_file(self):
        model = self.copy_model()
        weights = model / "model.safetensors"
        weights.write_bytes(b"\xff" * 7 + b"\x7f" + weights.read_bytes()[8:])
        self.model_refused(INPUT, "model.safetensors", model=model)

    def test_offsets_beyond_the_file(self):
        def change(header, data):
            header["embeddings.LayerNorm.weight"]["data_offsets"][1] += 1 << 40
        self.model_refused(INPUT, "model.safetensors", "embeddings.LayerNorm.weight",
                           model=self.broken_weights(change))

    def test_overlapping_tensors(self):
        def change(header, data):
            header["embeddings.LayerNorm.weight"]["data_offsets"] = list(
                header["embeddings.LayerNorm.bias"]["data_offsets"])
        self.model_refused(INPUT, "model.safetensors", model=self.broken_weights(change))

    def test_shape_that_overflows(self):
        def change(header, data):
            header["embeddings.LayerNorm.weight"]["shape"] = [1 << 62, 1 << 62]
        self.model_refused(INPUT, "embeddings.LayerNorm.weight", model=self.broken_weights(change))

    def test_deeply_nested_header(self):
        model = self.copy_model()
        text = b"[" * 200000
        (model / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
        self.model_refused(INPUT, "model.safetensors", model=model)

    def test_tensor_of_the_wrong_shape(self):
        def change(header, data):
            info = header["encoder.layer.1.intermediate.dense.weight"]
            info["shape"] = info["shape"][::-1]
        self.model_refused(INPUT, "encoder.layer.1.intermediate.dense.weight", "24", "16",
                           model=self.broken_weights(change))

    def test_missing_tensor(self):
        def change(header, data):  # under another name, so that the data section stays whole
            header["surplus"] = header.pop("encoder.layer.1.output.dense.bias")
        self.model_refused(INPUT, "encoder.layer.1.output.dense.bias",
                           model=self.broken_weights(change))

    def test_nan_weight(self):
        def change(header, data):
            start = header["encoder.layer.0.attention.self.query.weight"]["data_offsets"][0]
            data[start + 8 : start + 12] = np.float32(np.nan).tobytes()
        self.model_refused(INPUT, "encoder.layer.0.attention.self.query.weight", "nan",
                           model=self.broken_weights(change))

    def test_unsupported_architecture_lists_the_supported_ones(self):
        model = self.copy_model()
        change_config(model, model_type="t5", architectures=["T5Model"])
        self.model_refused(INPUT, "t5", "bert", "roberta", model=model)

    def test_config_that_contradicts_itself(self):
        model = self.copy_model()
        change_config(model, num_attention_heads=3)
        self.model_refused(INPUT, "num_attention_heads", model=model)

    def test_config_much_larger_than_the_weights(self):
        model = self.copy_model()
        change_config(model, hidden_size=1 << 30)  # a head of 8 GiB, drawn for nothing
        self.model_refused(INPUT, "embeddings.word_embeddings.weight", str(1 << 30), model=model)

    def test_checkpoint_without_a_head(self):
        self.refused(INPUT, "head", model={"head": "checkpoint"})

    def test_checkpoint_head_for_classes_of_other_names(self):
        names = ("bad", "fair", "good")
        model = self.copy_model("bert-classifier")
        for own, classes, told in ((names, names, 0), (names, names[::-1], 1),
                                   (("LABEL_0", "LABEL_1", "LABEL_2"), names, 0)):
            change_config(model, id2label={str(i): name for i, name in enumerate(own)})
            train = support.write_classes(self.home / "classes.h5", self.generator, 8, classes)
            for ranks in RANKS:
                job = self.job(train, f"{own[0]}{classes[0]}{ranks}",
                               model={"path": model, "head": "checkpoint"})
                result = self.run_well("kernel", job, ranks=ranks)
                self.assertEqual(result.text.count("go together in this order"), told)
                self.assertEqual(result.text.count("good, fair, bad"), told)

    def test_head_files(self):
        head = self.home / "head.safetensors"
        self.refused(INPUT, "head.safetensors", model={"head": head})
        support.pack_tensors(head, {"weight": np.ones((2, HIDDEN + 1)), "bias": np.ones(2)})
        self.refused(INPUT, "head.safetensors", "weight", str(HIDDEN), model={"head": head})
        support.pack_tensors(head, {"weight": np.ones((3, HIDDEN)), "bias": np.ones(3)})
        self.refused(INPUT, "head", "3 outputs", "2", model={"head": head})
        support.pack_tensors(head, {"weight": np.ones((2, HIDDEN)), "bias": np.ones(3)})
        self.refused(INPUT, "head.safetensors", "bias", model={"head": head})


if __name__ == "__main__":
    support.main()
