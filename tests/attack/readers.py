"""The readers that are attacked: each makes an input from its trial's generator, has aegen read it, and feature extractors that."""

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

ROWS = 3  # of what is sampled, encoded and decoded


class Bench:
    """What all trials of a worker share: originals, open models of them, and which trial is going on."""

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
        """Let the trial know how far it comes: aegen's own functions tell, after they have done their work."""

        def telling(function, stage):
            def wrapper(*given, **named):
                result = function(*given, **named)
                if self.trial is not None:
                    self.trial.reached(stage)
                return result

            return wrapper

        artifacts.read_manifest = telling(artifacts.read_manifest, "parsed")
        artifacts.Artifact.open = classmethod(telling(artifacts.Artifact.open.__func__, "hash passed"))
        session.check_graph = telling(session.check_graph, "graph checked")
        session.open_session = telling(session.open_session, "session opened")
        session.Network.outputs = telling(session.Network.outputs, "ran")


def manifest(trial, bench):
    """`manifest.json`: half of the changes are such that the files still fit."""
    random, artifact = trial.random, bench.artifacts[trial.random.choice(list(bench.artifacts))].copy()
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
        content = mutators.cut(random, content)
    trial.remember(content)
    folder = trial.folder / "artifact"
    artifact.write(folder, content)
    use_artifact(trial, folder)
    if random.random() < 0.25:
        command_lines.in_process(
            trial, random.choice((["info", "artifact"], ["info", "artifact", "--json"], ["verify", "artifact"]))
        )


def latents(trial, bench):
    """`latents.npz`: its arrays, rightly declared or not, and its bytes."""
    _arrays(trial, bench, "latents.npz")


def golden(trial, bench):
    """`golden.npz`, which `verify` reads."""
    _arrays(trial, bench, "golden.npz")


def _arrays(trial, bench, name):
    random, artifact = trial.random, bench.artifacts[trial.random.choice(list(bench.artifacts))].copy()
    declared = artifact.manifest["latents"]
    arrays, kind = bases.load_npz(artifact.files[name]), random.randrange(10)
    if kind <= 3:
        changed = random.sample(list(arrays), random.choice((1, 1, 2)))
        for one in changed:
            arrays[one] = array_mutators.other_array(random, trial.numbers, arrays[one])
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
        artifact.files[name] = members.content(random, random.choice((bench.bomb, bench.array_bomb)))
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
            artifact.files[name] = mutators.cut(random, artifact.files[name])
    artifact.seal(name)
    folder = trial.folder / "artifact"
    artifact.write(folder, mutators.json_bytes(random, artifact.manifest) if kind == 9 else None)
    use_artifact(trial, folder, ("verify",) if name == "golden.npz" else PRIOR_CALLS)


def graphs(trial, bench):
    """The ONNX files, with hashes made anew."""
    random, artifact = trial.random, bench.artifacts[trial.random.choice(list(bench.artifacts))].copy()
    name = random.choice([name for name in artifact.files if name.endswith(".onnx")])
    artifact.files[name] = graph_mutators.mutated(random, artifact.files[name])
    trial.remember(artifact.files[name])
    if random.random() < 0.05:  # the signature in the manifest goes along
        tensor = random.choice(artifact.manifest["graphs"][name][random.choice(("inputs", "outputs"))])
        key = random.choice(list(tensor))
        tensor[key] = mutators.similar(random, tensor[key])
    artifact.seal(name)
    folder = trial.folder / "artifact"
    artifact.write(folder)
    use_artifact(trial, folder, CALLS_OF[name])


def use_artifact(trial, folder, calls=None):
    """Open an artifact and ask some things of it."""
    model = trial.call(lambda: aegen.load(folder, threads=trial.random.choice((1, 1, 1, 2))))
    if model is None:
        return
    trial.call(lambda: repr(model))
    chosen = calls or trial.random.sample(list(CALLS), 3)
    offered = {"posterior": model.manifest.kind == "vae", "walk": "flow" in model.priors}
    for call in (one for one in chosen if offered.get(one, True)):
        CALLS[call](trial, model)


def _sample(trial, model):
    prior = trial.random.choice((None, *model.priors))
    trial.call(lambda: model.sample(ROWS, seed=0, prior=prior), oracle.images((ROWS, *model.image_shape)))


def _iterate(trial, model):
    shape = (ROWS, *model.image_shape)
    trial.call(
        lambda: np.concatenate(list(model.iter_sample(ROWS, seed=1, batch_size=2, dtype="uint8"))),
        oracle.images(shape, np.uint8),
    )


def _draw(trial, model):
    for prior in trial.random.sample(model.priors, min(3, len(model.priors))):
        label = trial.random.choice((None, None, *model.manifest.labels[:2]))
        temperature = trial.random.choice((None, 0, 2.5))
        trial.call(
            lambda: model.draw(ROWS, seed=0, prior=prior, label=label, temperature=temperature),  # noqa: B023
            oracle.array((ROWS, model.latent_dim)),
        )


def _density(trial, model):
    prior, label = trial.random.choice(model.priors), trial.random.choice((None, *model.manifest.labels[:2]))
    latents = np.zeros((ROWS, model.latent_dim), np.float32)
    trial.call(lambda: model.log_prob(latents, prior=prior, label=label), oracle.densities((ROWS,)))


def _given(trial, model):
    return trial.numbers.integers(0, 256, (ROWS, *model.image_shape), np.uint8)


def _encode(trial, model):
    trial.call(lambda: model.encode(_given(trial, model)), oracle.array((ROWS, model.latent_dim)))


def _decode(trial, model):
    latents = trial.numbers.standard_normal((ROWS, model.latent_dim), np.float32)
    trial.call(lambda: model.decode(latents), oracle.images((ROWS, *model.image_shape)))


def _reconstruct(trial, model):
    given = _given(trial, model)
    trial.call(lambda: model.reconstruct(given, dtype="uint8"), oracle.images(given.shape, np.uint8))


def _posterior(trial, model):
    check = oracle.array((ROWS, model.latent_dim))
    trial.call(lambda: model.posterior(_given(trial, model)), lambda both: check(both[0]) or check(both[1]))


def _interpolate(trial, model):
    a, b = _given(trial, model)[:2]
    trial.call(lambda: model.interpolate(a, b, steps=4), oracle.images((4, *model.image_shape)))


def _walk(trial, model):
    trial.call(lambda: model.latent_walk(2, steps=3, seed=0), oracle.images((2, 3, *model.image_shape)))


def _verify(trial, model):
    trial.call(model.verify, oracle.verified)


CALLS = {
    "sample": _sample, "iterate": _iterate, "draw": _draw, "density": _density, "encode": _encode, "decode": _decode,
    "reconstruct": _reconstruct, "posterior": _posterior, "interpolate": _interpolate, "walk": _walk, "verify": _verify,
}  # fmt: skip
PRIOR_CALLS = ("draw", "density", "sample")
CALLS_OF = {
    "encoder.onnx": ("encode", "posterior", "verify"),
    "decoder.onnx": ("decode", "sample"),
    "prior.onnx": ("draw", "walk"),
}


def api(trial, bench):
    """Arguments of the Python API."""
    arguments.call(trial, bench)


def command(trial, bench):
    """Command lines, in this process."""
    given, content, variables = command_lines.generated(trial, bench)
    command_lines.in_process(trial, given, content, variables)


def process(trial, bench):
    """Command lines, as processes of their own."""
    given, content, variables = command_lines.generated(trial, bench)
    command_lines.as_process(trial, given, content, variables)


READERS = {
    reader.__name__: reader
    for reader in (manifest, latents, golden, graphs, image, array, idx, stdin, dataset, api, command, process)
}
ARTIFACT_READERS = ("manifest", "latents", "golden", "graphs")  # those whose trials have hashes to pass
SHARES = {  # trials of each reader in a thousand
    "manifest": 190, "latents": 130, "golden": 50, "graphs": 200, "image": 110, "array": 90, "idx": 50, "stdin": 45,
    "dataset": 30, "api": 62, "command": 40, "process": 3,
}  # fmt: skip
WARM = tuple(reader for reader in SHARES if reader != "process")  # run once by each worker before anything is measured


def stages_of(reader):
    """The stages that trials of a reader may come to."""
    return oracle.STAGES if reader in ARTIFACT_READERS else ("given", "parsed", "ran")
