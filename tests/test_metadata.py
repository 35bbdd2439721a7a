"""The metadata of artifacts and of feature extractors are read in the same way, and obey the same rules."""

import json

import pytest
from aegen.evaluation.feature_extractor import FeatureExtractorRecord
from aegen.runtime.artifact import SHIPPED
from aegen.runtime.errors import ArtifactError, NotFoundError
from aegen.runtime.manifest import Manifest
from aegen.runtime.metadata import MAX_METADATA_BYTES

FILES = {
    Manifest: SHIPPED / "mnist" / "manifest.json",
    FeatureExtractorRecord: SHIPPED / "features-mnist/features.json",
}
HASH = "0" * 64

each_kind = pytest.mark.parametrize("kind", FILES, ids=lambda kind: kind.__name__)


@each_kind
def test_metadata_are_read_and_written_unchanged(kind, tmp_path):
    metadata = kind.read(FILES[kind])
    (tmp_path / "written.json").write_bytes(metadata.to_json())
    assert kind.read(tmp_path / "written.json") == metadata
    assert json.loads(metadata.to_json()) | json.loads(FILES[kind].read_text()) == json.loads(metadata.to_json())


@each_kind
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": {"shape": [2, 28, 28], "range": [0, 1]}}, "image.shape: found"),
        ({"image": {"shape": [1, 0, 28], "range": [0, 1]}}, "image.shape: found"),
        ({"image": {"shape": [1, 28, 28], "range": [1, 0]}}, "image.range: found"),
        ({"image": {"shape": [1, 28, 28], "range": [0, 1e9]}}, "image.range: found"),
        ({"versions": {"python": 3}}, "versions: python: found 3, expected text"),
        ({"format": 0}, "format 0, expected format N. Export it again: `aegen"),
        ({"format": 99}, "format 99, expected format N. A newer aegen wrote it"),
        ({"format": 99, "image": None}, "format 99, expected format N. A newer aegen wrote it"),
    ],
)
def test_what_is_wrong_in_metadata_is_named(kind, change, message):
    content = {**json.loads(FILES[kind].read_text()), **change}
    with pytest.raises(ArtifactError, match=message.replace("N", r"\d")):
        kind.parse(json.dumps(content).encode(), "metadata.json")


@each_kind
@pytest.mark.parametrize(
    "spec", [{"sha256": HASH, "bytes": -1}, {"sha256": HASH, "bytes": 2**40}, {"sha256": "0", "bytes": 1}]
)
def test_files_of_impossible_size_or_hash_are_refused(kind, spec):
    content = json.loads(FILES[kind].read_text())
    content |= (
        {"graph": spec} if kind is FeatureExtractorRecord else {"files": {**content["files"], "decoder.onnx": spec}}
    )
    with pytest.raises(ArtifactError, match=r"(graph|files): found .*, expected (0 to 2 GiB|64 hex digits)"):
        kind.parse(json.dumps(content).encode(), "metadata.json")


@pytest.mark.parametrize(
    "change", [{"num_classes": 0}, {"num_classes": 2**60}, {"features": -1}, {"label_values": [1]}]
)
def test_impossible_numbers_of_features_and_classes_are_refused(change):
    content = {**json.loads(FILES[FeatureExtractorRecord].read_text()), **change}
    with pytest.raises(ArtifactError, match=next(iter(change))):
        FeatureExtractorRecord.parse(json.dumps(content).encode(), "features.json")


@each_kind
def test_a_file_that_is_too_large_or_missing_is_refused(kind, tmp_path):
    with pytest.raises(NotFoundError, match=rf"found no metadata.json, expected {kind.EXPECTED}\. `{kind.COMMAND}`"):
        kind.read(tmp_path / "metadata.json")
    with pytest.raises(NotFoundError, match="found no such folder"):
        kind.read(tmp_path / "nowhere" / "metadata.json")
    (tmp_path / "metadata.json").write_bytes(b" " * (MAX_METADATA_BYTES + 1))
    with pytest.raises(ArtifactError, match="found more than 4 MB"):
        kind.read(tmp_path / "metadata.json")
