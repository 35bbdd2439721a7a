"""The readers of the fuzzer: each makes a random input of one kind, gives it to aegen, and checks the result."""

import json
import struct

import aegen
import arguments
import array_mutators
import bases
import command_lines
import graph_mutators
import mutators
import numpy as np
import oracle
from aegen.runtime import artifact as artifacts
from aegen.runtime import session
from user_files import array, dataset, idx, image, stdin

ROWS = 3  # number of images or latents that a trial asks for or passes in one call


class Fixtures:
    """Objects that all trials of a worker process use: valid inputs to mutate, loaded models, and the current trial."""

    def __init__(self, folder):
        self.artifacts = bases.artifacts()
        self.images = bases.image_files()
        self.paths = {}
        for name, artifact in self.artifacts.items():
            self.paths[name] = folder / name
            artifact.write(self.paths[name])
        self.models = {name: aegen.load(path, threads=1) for name, path in self.paths.items()}
        self.bomb = bases.zeros()
        head = bases.save_npy(np.zeros(0, np.uint8)).replace(b"(0,)", f"({bases.BOMB_MB << 20},)".encode())
        self.array_bomb = bases.zeros(head[: 10 + int.from_bytes(head[8:10], "little")])
        self.idx_bombs = [bases.zeros(struct.pack(">HBB3I", 0, 8, 3, *shape)) for shape in ((2, 6, 5), (2**31, 28, 28))]
        self.trial = None
        self._watch()

    def _watch(self):
        """Replace functions of aegen by wrappers that record the stage that the current trial has reached."""

        def recording(function, stage):
            def wrapper(*args, **kwargs):
                result = function(*args, **kwargs)
                if self.trial is not None:
                    self.trial.reached(stage)
                return result

            return wrapper

        artifacts.read_manifest = recording(artifacts.read_manifest, "parsed")
        artifacts.Artifact.open = classmethod(recording(artifacts.Artifact.open.__func__, "hash passed"))
        session.check_graph = recording(session.check_graph, "graph checked")
        session.open_session = recording(session.open_session, "session opened")
        session.Network.outputs = recording(session.Network.outputs, "ran")


def manifest(trial, fixtures):
    """Load an artifact with a mutated `manifest.json`, which in most trials still fits the artifact's other files."""
    random, artifact = trial.random, fixtures.artifacts[trial.random.choice(list(fixtures.artifacts))].copy()
    value, kind = artifact.manifest, random.randrange(20)
    if kind <= 12:
        for _ in range(random.choice((1, 1, 2))):
            mutators.gentle(random, value)
    else:
        for _ in range(random.choice((1, 1, 2, 3))):
            value = mutators.violent(random, value)
            if not isinstance(value, dict):
                break
    content = mutators.json_bytes(random, value) if kind <= 17 else json.dumps(value).encode("utf-8", "surrogatepass")
    if kind == 18:
        content = mutators.changed(random, content)
    elif kind == 19:
        content = mutators.truncated(random, content)
    trial.remember(content)
    folder = trial.folder / "artifact"
    artifact.write(folder, content)
    use_artifact(trial, folder)
    if random.random() < 0.25:
        command_lines.in_process(
            trial, random.choice((["info", "artifact"], ["info", "artifact", "--json"], ["verify", "artifact"]))
        )


def latents(trial, fixtures):
    """Load an artifact with a mutation of `latents.npz`, of its arrays, or of the manifest's list of these arrays."""
    _arrays(trial, fixtures, "latents.npz")


def golden(trial, fixtures):
    """Load an artifact in which `golden.npz` is mutated, and call `verify`, which reads that file."""
    _arrays(trial, fixtures, "golden.npz")


def _arrays(trial, fixtures, name):
    random, artifact = trial.random, fixtures.artifacts[trial.random.choice(list(fixtures.artifacts))].copy()
    declared = artifact.manifest["latents"]
    arrays, kind = bases.load_npz(artifact.files[name]), random.randrange(10)
    if kind <= 3:
        changed = random.sample(list(arrays), random.choice((1, 1, 2)))
        for key in changed:
            arrays[key] = array_mutators.other_array(random, trial.numbers, arrays[key])
        if name == "latents.npz" and random.random() < 0.8:
            for tensor in declared:
                if tensor["name"] in changed:
                    array = arrays[tensor["name"]]
                    tensor |= {"dtype": str(array.dtype), "shape": list(array.shape)}
        artifact.files[name] = bases.save_npz(arrays)
    elif kind <= 7:
        members = array_mutators.Members(arrays)
        for _ in range(random.choice((1, 1, 2))):
            members.mutate(random)
        artifact.files[name] = members.content(random, random.choice((fixtures.bomb, fixtures.array_bomb)))
    elif kind == 8:
        artifact.files[name] = mutators.changed(random, artifact.files[name])
    else:
        tensor = random.choice(declared)
        key = random.choice(("dtype", "shape", "shape"))
        tensor[key] = (
            mutators.similar(random, tensor[key]) if random.random() < 0.5 else mutators.hostile(random, tensor[key])
        )
        trial.texts.append(str(tensor[key]))
        if random.random() < 0.3:
            artifact.files[name] = mutators.truncated(random, artifact.files[name])
    artifact.seal(name)
    folder = trial.folder / "artifact"
    artifact.write(folder, mutators.json_bytes(random, artifact.manifest) if kind == 9 else None)
    use_artifact(trial, folder, ("verify",) if name == "golden.npz" else PRIOR_CALLS)


def graphs(trial, fixtures):
    """Load an artifact in which an ONNX file is mutated. The manifest has the hash of the mutated file."""
    random, artifact = trial.random, fixtures.artifacts[trial.random.choice(list(fixtures.artifacts))].copy()
    name = random.choice([name for name in artifact.files if name.endswith(".onnx")])
    artifact.files[name] = graph_mutators.mutated(random, artifact.files[name])
    trial.remember(artifact.files[name])
    if random.random() < 0.05:  # sometimes change an input or output in the manifest too
        tensor = random.choice(artifact.manifest["graphs"][name][random.choice(("inputs", "outputs"))])
        key = random.choice(list(tensor))
        tensor[key] = mutators.similar(random, tensor[key])
    artifact.seal(name)
    folder = trial.folder / "artifact"
    artifact.write(folder)
    use_artifact(trial, folder, CALLS_OF[name])


def use_artifact(trial, folder, calls=None):
    """Load an artifact and call some of its methods. calls: keys of CALLS, by default three random ones."""
    model = trial.call(lambda: aegen.load(folder, threads=trial.random.choice((1, 1, 1, 2))))
    if model is None:
        return
    trial.call(lambda: repr(model))
    chosen = calls or trial.random.sample(list(CALLS), 3)
    offered = {"posterior": model.manifest.kind == "vae", "latent_walk": bool(model.manifest.learned_priors)}
    for name in chosen:
        if offered.get(name, True):
            CALLS[name](trial, model)


def _sample(trial, model):
    prior = trial.random.choice((None, *model.priors))
    trial.call(lambda: model.sample(ROWS, seed=0, prior=prior), oracle.images((ROWS, *model.image_shape)))


def _iter_sample(trial, model):
    shape = (ROWS, *model.image_shape)
    trial.call(
        lambda: np.concatenate(list(model.iter_sample(ROWS, seed=1, batch_size=2, dtype="uint8"))),
        oracle.images(shape, np.uint8),
    )


def _sample_latents(trial, model):
    for prior in trial.random.sample(model.priors, min(3, len(model.priors))):
        label = trial.random.choice((None, None, *model.manifest.labels[:2]))
        temperature = trial.random.choice((None, 0, 2.5))
        trial.call(
            lambda: model.sample_latents(ROWS, seed=0, prior=prior, label=label, temperature=temperature),  # noqa: B023
            oracle.array((ROWS, model.latent_dim)),
        )


def _log_prob(trial, model):
    prior, label = trial.random.choice(model.priors), trial.random.choice((None, *model.manifest.labels[:2]))
    latents = np.zeros((ROWS, model.latent_dim), np.float32)
    trial.call(lambda: model.log_prob(latents, prior=prior, label=label), oracle.log_densities((ROWS,)))


def _random_images(trial, model):
    """Make random images of the shape that a model takes: uint8 (ROWS, H, W) or (ROWS, H, W, 3)."""
    return trial.numbers.integers(0, 256, (ROWS, *model.image_shape), np.uint8)


def _encode(trial, model):
    trial.call(lambda: model.encode(_random_images(trial, model)), oracle.array((ROWS, model.latent_dim)))


def _decode(trial, model):
    latents = trial.numbers.standard_normal((ROWS, model.latent_dim), np.float32)
    trial.call(lambda: model.decode(latents), oracle.images((ROWS, *model.image_shape)))


def _reconstruct(trial, model):
    images = _random_images(trial, model)
    trial.call(lambda: model.reconstruct(images, dtype="uint8"), oracle.images(images.shape, np.uint8))


def _posterior(trial, model):
    check = oracle.array((ROWS, model.latent_dim))
    trial.call(lambda: model.posterior(_random_images(trial, model)), lambda both: check(both[0]) or check(both[1]))


def _interpolate(trial, model):
    a, b = _random_images(trial, model)[:2]
    trial.call(lambda: model.interpolate(a, b, steps=4), oracle.images((4, *model.image_shape)))


def _latent_walk(trial, model):
    trial.call(lambda: model.latent_walk(2, steps=3, seed=0), oracle.images((2, 3, *model.image_shape)))


def _verify(trial, model):
    trial.call(model.verify, oracle.verified)


CALLS = {
    "sample": _sample, "iter_sample": _iter_sample, "sample_latents": _sample_latents, "log_prob": _log_prob,
    "encode": _encode, "decode": _decode, "reconstruct": _reconstruct,
    "posterior": _posterior, "interpolate": _interpolate, "latent_walk": _latent_walk, "verify": _verify,
}  # fmt: skip
PRIOR_CALLS = ("sample_latents", "log_prob", "sample")
CALLS_OF = {
    "encoder.onnx": ("encode", "posterior", "verify"),
    "decoder.onnx": ("decode", "sample"),
    "prior.onnx": ("sample_latents", "latent_walk"),
}


def api(trial, fixtures):
    """Call the Python API with random arguments."""
    arguments.call(trial, fixtures)


def command(trial, fixtures):
    """Run a random command line in this process."""
    words, content, variables = command_lines.generated(trial, fixtures)
    command_lines.in_process(trial, words, content, variables)


def process(trial, fixtures):
    """Run a random command line in a new process."""
    words, content, variables = command_lines.generated(trial, fixtures)
    command_lines.as_process(trial, words, content, variables)


READERS = {
    reader.__name__: reader
    for reader in (manifest, latents, golden, graphs, image, array, idx, stdin, dataset, api, command, process)
}
# Readers that load artifacts. At least half of the trials of each must pass the hash check.
ARTIFACT_READERS = ("manifest", "latents", "golden", "graphs")
TRIALS_PER_THOUSAND = {
    "manifest": 190, "latents": 130, "golden": 50, "graphs": 200, "image": 110, "array": 90, "idx": 50, "stdin": 45,
    "dataset": 30, "api": 62, "command": 40, "process": 3,
}  # fmt: skip
# Each worker process runs one trial of each of these readers as a warm-up, before memory is measured.
WARM = tuple(reader for reader in TRIALS_PER_THOUSAND if reader != "process")


def stages_of(reader):
    """Return the stages (a part of oracle.STAGES) that trials of a reader can reach."""
    return oracle.STAGES if reader in ARTIFACT_READERS else ("given", "parsed", "ran")
