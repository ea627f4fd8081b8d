"""Descriptions from strangers: what cannot be meant is refused by name, in JSON and inside exported files alike."""

import dataclasses
import json
import math

import numpy as np
import onnx
import pytest
import safetensors.numpy

from tests.helpers.toys import TOY, TOY_FOUR, edit_json, random_variables, write_toy
from tests.models.test_spleeter_json import ORIGINAL
from unweave import Separator
from unweave.errors import CheckpointError, ModelError
from unweave.families.unet.files import export_onnx, export_safetensors, read_safetensors_unets
from unweave.families.unet.weights import read_unets
from unweave.models.export import METADATA_KEY, read_exported_spec, spec_from_json, spec_to_json
from unweave.models.resolve import resolve
from unweave.models.spec import MaskModelSpec
from unweave.models.spleeter_json import parse_spleeter_json, read_spleeter_json
from unweave.models.validate import MAX_STEMS, check_stems, not_finite

UNUSABLE = [
    "../../../evil", "..", ".", "/etc/passwd", "a/b", "a\\b", "..\\evil", "C:evil", "", " ", "vocals ", " vocals",
    "vocals.", ".hidden", "con", "CON", "nul.wav", "Com1", "lpt9.x", "COM¹", "a\x00b", "a\nb", "a\x1b[31m", "a\u202eb",
    "\ud800", "a*", "a?", "a|b", "a<b", 'a"b', "-rf", "~root", "x" * 300, "ü" * 100,
]  # fmt: skip
LISTS = [[], None, "vocals", 7, {"a": 1}, ["a", 1], ["a", None], [["a"]], ["Vocals", "vocals"], ["\u00e9", "e\u0301"]]
HUGE = 10**400


@pytest.mark.parametrize("stems", [*([name, "other"] for name in UNUSABLE), *LISTS, [f"s{n}" for n in range(300)]])
@pytest.mark.parametrize("where", ["json", "description"])
def test_names_that_cannot_be_files_are_refused(stems, where):
    def read():
        if where == "json":
            return parse_spleeter_json({**ORIGINAL, "instrument_list": stems}, "x")
        return spec_from_json(json.dumps({**json.loads(spec_to_json(TOY)), "stems": stems}))

    with pytest.raises(ModelError) as caught:
        read()
    message = str(caught.value)
    assert ("instrument_list" if where == "json" else "stems") in message
    assert message.isprintable()
    assert len(message) < 500


@pytest.mark.parametrize(
    "stems", [["vocals"], ["Gesang", "Rest"], ["声", "伴奏"], ["lead vocals", "b-sides"], ["com", "console"]]
)
def test_names_in_any_language_are_kept(stems):
    check_stems(stems, "stems")
    assert parse_spleeter_json({**ORIGINAL, "instrument_list": stems}, "x")[0].stems == tuple(stems)


def test_as_many_stems_as_may_be():
    check_stems([f"s{n}" for n in range(MAX_STEMS)], "stems")
    with pytest.raises(ModelError, match="at most"):
        check_stems([f"s{n}" for n in range(MAX_STEMS + 1)], "stems")


NUMBERS = [0, -1, True, None, "1", [1], {}, 1.5, math.nan, math.inf, HUGE]


@pytest.mark.parametrize("value", NUMBERS, ids=lambda value: str(value)[:8])
@pytest.mark.parametrize("key", ["sample_rate", "frame_length", "frame_step", "T", "F", "n_channels"])
def test_whole_numbers_of_a_json(key, value):
    with pytest.raises(ModelError, match=rf"^{key} "):
        parse_spleeter_json({**ORIGINAL, key: value}, "x")


@pytest.mark.parametrize("value", [0, -2, True, None, "2", [2], math.nan, math.inf, HUGE], ids=lambda v: str(v)[:8])
def test_exponents_of_a_json(value):
    with pytest.raises(ModelError, match=r"^separation_exponent "):
        parse_spleeter_json({**ORIGINAL, "separation_exponent": value}, "x")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model": None}, "model"),
        ({"model": []}, "model"),
        ({"model": {"type": []}}, "model.type"),
        ({"model": {"type": None}}, "model.type"),
        ({"model": {"params": None}}, "model.params"),
        ({"model": {"params": []}}, "model.params"),
        ({"model": {"params": {"conv_activation": "Elu"}}}, "model.params.conv_activation"),
        ({"model": {"params": {"conv_activation": "elu"}}}, "model.params.conv_activation"),
        ({"model": {"params": {"deconv_activation": "GELU"}}}, "model.params.deconv_activation"),
        ({"model": {"params": {"deconv_activation": None}}}, "model.params.deconv_activation"),
        ({"model": {"params": {"conv_activation": ["ELU"]}}}, "model.params.conv_activation"),
        ({"model": {"params": {"use_elu": "false"}}}, "model.params.use_elu"),
        ({"model": {"params": {"output_mask_logit": 1}}}, "model.params.output_mask_logit"),
        ({"model": {"params": {"conv_n_filters": None}}}, "conv_n_filters"),
        ({"model": {"params": {"conv_n_filters": 16}}}, "conv_n_filters"),
        ({"model": {"params": {"conv_n_filters": [True] * 6}}}, "conv_n_filters"),
        ({"model": {"params": {"conv_n_filters": [1, 2, 3, 4, 5, 10**9]}}}, "conv_n_filters"),
        ({"model": {"params": {"conv_n_filters": [16, 32, 64, 128, 256, 512.0]}}}, "conv_n_filters"),
        ({"mask_extension": None}, "mask_extension"),
        ({"mask_extension": ["zeros"]}, "mask_extension"),
        ({"mask_extension": "edge"}, "mask_extension"),
        ({"model_dir": None}, "model_dir"),
        ({"model_dir": ["a"]}, "model_dir"),
        ({"model_dir": "a\0b"}, "model_dir"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"learning_rate": math.inf}, "learning_rate"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"batch_size": True}, "batch_size"),
        ({"batch_size": HUGE}, "batch_size"),
        ({"random_seed": [3]}, "random_seed"),
        ({"train_csv": 3}, "train_csv"),
        ({"loss_type": ["L1_mask"]}, "loss_type"),
        ({"optimizer": {}}, "optimizer"),
        ({"training_cache": 1}, "training_cache"),
        ({"MWF": "yes"}, "MWF"),
        ({"evil\nkey": 1}, "unknown key"),
    ],
    ids=str,
)
def test_values_of_a_wrong_type_are_named(change, named):
    with pytest.raises(ModelError, match=named.replace(".", r"\.")) as caught:
        parse_spleeter_json({**ORIGINAL, **change}, "x")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "text",
    ['{"T": 1e400}', '{"T": NaN}', "[" * 100_000, '{"a":' * 100_000, '{"T": 512, "T": 64}', "\xff", "9" * 10_000,
     "null", '{"T": ' + "9" * 5000 + "}", " " * (2 << 20)],
    ids=lambda text: text[:10],
)  # fmt: skip
def test_texts_that_are_no_configuration_are_one_line(tmp_path, text):
    (tmp_path / "x.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=r"x\.json") as caught:
        read_spleeter_json(tmp_path / "x.json")
    assert "\n" not in str(caught.value)


def test_a_configuration_from_windows(tmp_path):
    (tmp_path / "x.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(ORIGINAL).encode())
    assert read_spleeter_json(tmp_path / "x.json")[0].stems == tuple(ORIGINAL["instrument_list"])


SIZES = ("hop_length", "n_fft", "n_bins", "n_frames", "sample_rate", "ensemble")
BROKEN = [
    *({name: value} for name in SIZES for value in NUMBERS),
    {"mask_exponent": math.nan}, {"mask_exponent": 0}, {"mask_exponent": "2"}, {"mask_exponent": HUGE},
    {"n_channels": 1}, {"n_channels": True}, {"head": "Sigmoid"}, {"head": None}, {"network": "transformer"},
    {"network": []}, {"encoder_activation": "Elu"}, {"decoder_activation": "gelu"}, {"decoder_activation": 1},
    {"mask_extension": "mirror"}, {"overlap_frames": -1}, {"overlap_frames": 33}, {"overlap_frames": True},
    {"time_attention": "no"}, {"attention_gates": 1}, {"residual_blocks": None}, {"n_filters": []},
    {"n_filters": None}, {"n_filters": "abcdef"}, {"n_filters": [1] * 5}, {"n_filters": [1] * 100},
    {"n_filters": [0] * 6}, {"n_filters": [True] * 6}, {"n_filters": [HUGE] * 6}, {"n_bins": 100}, {"n_bins": 192},
    {"n_frames": 100}, {"hop_length": 100}, {"hop_length": 128}, {"rest": "drums"}, {"rest": None},
    {"rest": ["vocals"]}, {"before": "spleeter:2stems"}, {"before": 1}, {"folds": [["a", "b"]]}, {"folds": {}},
    {"folds": [1]}, {"network_stems": ["../x"]}, {"network_stems": ["vocals", "drums"]}, {"network_stems": None},
    {"name": None}, {"name": "a\x1b[2J"}, {"weights": 1}, {"licence": "x" * 100_000}, {"notes": "\x07"},
    {"summary": []}, {"surprise": 1},
]  # fmt: skip


@pytest.mark.parametrize("change", BROKEN, ids=lambda change: str(change)[:40])
def test_descriptions_that_cannot_be_meant_are_refused_by_name(change):
    fields = {**json.loads(spec_to_json(TOY)), **change}
    with pytest.raises(ModelError) as caught:
        spec_from_json(json.dumps(fields))
    message = str(caught.value)
    assert any(name in message for name in change)
    assert message.isprintable()


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "7", '"x"', "{}", "[" * 100_000, '{"stems": ["a"]}'], ids=lambda t: t[:5]
)
def test_descriptions_that_are_none(text):
    with pytest.raises(ModelError, match="description inside") as caught:
        spec_from_json(text)
    assert "\n" not in str(caught.value)


def toy_unets(spec=TOY):
    return read_unets(random_variables(spec), spec)


@pytest.fixture
def exported(tmp_path):
    export_onnx(toy_unets(), TOY, tmp_path / "x.onnx")
    export_safetensors(toy_unets(), TOY, tmp_path / "x.safetensors")
    return tmp_path


def described(folder, kind, **changes):
    """The exported file of a kind, its description changed."""
    path = folder / f"x.{kind}"
    text = json.dumps({**json.loads(spec_to_json(TOY)), **changes})
    if kind == "onnx":
        model = onnx.load(path)
        onnx.helper.set_model_props(model, {METADATA_KEY: text})
        onnx.save(model, path)
    else:
        path.write_bytes(safetensors.numpy.save(safetensors.numpy.load_file(path), {METADATA_KEY: text}))
    return path


@pytest.mark.parametrize("kind", ["onnx", "safetensors"])
@pytest.mark.parametrize(
    "change", [{"stems": ["../../evil", "b"]}, {"hop_length": 0}, {"encoder_activation": "Elu"}], ids=str
)
def test_the_description_inside_a_file_is_held_to_the_same(exported, kind, change):
    path = described(exported, kind, **change)
    with pytest.raises(ModelError, match=next(iter(change))) as caught:
        resolve(str(path))
    assert str(path) in str(caught.value)


def test_the_name_of_the_weights_does_not_become_a_path(exported, cache):
    path = described(exported, "safetensors", weights="../../../evil", name="../evil")
    Separator(str(path))
    assert {each.name for each in exported.iterdir()} == {"x.onnx", "x.safetensors", "cache"}
    assert all(cache in each.parents for each in exported.rglob("network.onnx"))


@pytest.mark.parametrize(
    "change",
    [{"stems": ["a", "b", "c"]}, {"stems": ["a"]}],
    ids=["more stems", "fewer stems"],
)
@pytest.mark.parametrize("kind", ["onnx", "safetensors"])
def test_a_description_of_other_stems_than_the_network_gives(exported, cache, kind, change):
    path = described(exported, kind, **change)
    with pytest.raises(ModelError) as caught:
        Separator(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["float32", "float16", "inside a constant"])
def test_weights_of_a_graph_that_are_no_numbers(exported, kind, value):
    path = exported / "x.onnx"
    model = onnx.load(path)
    array = np.array([1, value, 2], "float16" if kind == "float16" else "float32")
    tensor = onnx.numpy_helper.from_array(array, "more")
    if kind == "inside a constant":
        model.graph.node.append(onnx.helper.make_node("Constant", [], ["more"], value=tensor))
    else:
        model.graph.initializer.append(tensor)
    del model.metadata_props[1:]  # the checksum that only our own files have
    onnx.save(model, path)
    with pytest.raises(ModelError):
        read_exported_spec(path)


@pytest.mark.parametrize("damage", [
    "two outputs", "two inputs", "other axes", "no nodes", "weights elsewhere", "constant elsewhere",
    "branch elsewhere", "sparse elsewhere", "function elsewhere",
])  # fmt: skip
def test_graphs_that_are_no_masking_network(exported, damage):
    path = exported / "x.onnx"
    model = onnx.load(path)
    graph = model.graph
    if damage == "two outputs":
        graph.output.append(onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, [1]))
    elif damage == "two inputs":
        graph.input.append(onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, [1]))
    elif damage == "other axes":
        del graph.output[0].type.tensor_type.shape.dim[4]
    elif damage == "no nodes":
        del graph.node[:]
    elif damage != "weights elsewhere":
        elsewhere = onnx.TensorProto(name="x", data_type=onnx.TensorProto.FLOAT, dims=[1])
        elsewhere.data_location = onnx.TensorProto.EXTERNAL
        elsewhere.external_data.add(key="location", value="/etc/passwd")
        constant = onnx.helper.make_node("Constant", [], ["x"], value=elsewhere)
        if damage == "constant elsewhere":
            graph.node.append(constant)
        elif damage == "branch elsewhere":
            branch = onnx.helper.make_graph([constant], "branch", [], [])
            graph.node.append(onnx.helper.make_node("If", ["y"], ["z"], then_branch=branch, else_branch=branch))
        elif damage == "sparse elsewhere":
            graph.sparse_initializer.append(onnx.SparseTensorProto(values=elsewhere, dims=[1]))
        else:
            model.functions.append(onnx.FunctionProto(name="f", domain="d", node=[constant]))
    else:
        graph.initializer[0].ClearField("raw_data")
        graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
        graph.initializer[0].external_data.add(key="location", value="/etc/passwd")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"x\.onnx"):
        read_exported_spec(path)


@pytest.mark.parametrize("kind", ["onnx", "safetensors"])
@pytest.mark.parametrize("keep", [0, 1, 0.3, 0.9])
def test_truncated_exports_are_one_line(exported, cache, kind, keep):
    path = exported / f"x.{kind}"
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * keep) if keep < 1 else 1])
    with pytest.raises(ModelError) as caught:
        Separator(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["shape", "missing", "nan", "dtype"])
def test_arrays_that_do_not_fit_are_named(exported, damage):
    path = exported / "x.safetensors"
    arrays = safetensors.numpy.load_file(path)
    name = "vocals.decoder.2.kernel"
    if damage == "missing":
        del arrays[name]
    elif damage == "shape":
        arrays[name] = arrays[name][:2].copy()
    elif damage == "nan":
        arrays[name][0] = np.nan
    else:
        arrays[name] = arrays[name].astype(np.uint8)[..., :1].copy()
    path.write_bytes(safetensors.numpy.save(arrays, {METADATA_KEY: spec_to_json(TOY)}))
    with pytest.raises(CheckpointError, match=r"decoder\.2\.kernel"):
        read_safetensors_unets(path, TOY)


def test_a_checkpoint_with_numbers_that_are_none_is_refused():
    variables = random_variables(TOY)
    variables["conv2d_3/bias"][0] = np.inf
    with pytest.raises(CheckpointError, match="conv2d_3/bias"):
        read_unets(variables, TOY)


@pytest.mark.parametrize("kind", ["onnx", "safetensors"])
def test_which_stem_takes_the_rest_is_carried_along(tmp_path, kind):
    spec = dataclasses.replace(TOY_FOUR, rest="bass")
    path = tmp_path / f"x.{kind}"
    (export_onnx if kind == "onnx" else export_safetensors)(toy_unets(TOY_FOUR), spec, path)
    assert read_exported_spec(path) == spec
    assert read_exported_spec(path).rest_stem == "bass"


def test_the_usual_rest_is_not_written():
    assert "rest" not in json.loads(spec_to_json(TOY_FOUR))
    assert spec_from_json(spec_to_json(TOY_FOUR)) == TOY_FOUR


def test_every_model_of_the_catalogue_can_be_described():
    from unweave.models.catalogue.official import specs

    for spec in specs().values():
        if isinstance(spec, MaskModelSpec):
            described = dataclasses.replace(spec, before="")
            assert spec_from_json(spec_to_json(described)) == described


def test_stems_with_evil_names_write_nothing(tmp_path, cache):
    path = edit_json(write_toy(tmp_path), instrument_list=["../../evil", "b"])
    with pytest.raises(ModelError, match="instrument_list"):
        Separator(str(path))


@pytest.mark.parametrize("stem", ["CONIN$", "conout$", "CONOUT$.x"])
def test_consoles_of_windows_are_no_stems(stem):
    with pytest.raises(ModelError, match="Windows reserves it"):
        check_stems([stem], "stems")


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ({"a": math.nan, "b": [1.0]}, "a"),
        ({"a": {"b": [1, [math.inf]]}, "c": {"d": {}}}, "a.b"),
        ([1.0, {"x": -math.inf}, []], "x"),
        (math.nan, ""),
        ({"a": [1e308, 10**400, None, "nan", True], "b": {}}, None),
    ],
)
def test_the_key_of_a_number_that_is_not_finite(value, key):
    assert not_finite(value) == key
