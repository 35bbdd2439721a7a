"""The commands that kills.py kills, each with the folder in which it starts and the command that continues it."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

TRAIN = (
    "train --data data.npz -o run --recipe vae --widths 8 --latent-dim 2 --epochs 2 --learning-rate 0.02 --threads 1"
)
PRIOR = "train-prior run --width 8 --blocks 1 --steps 60 --batch-size 16 --threads 1"
DISTILL = "distill run --width 8 --pairs 200 --evaluations 2 --steps 30 --batch-size 16 --threads 1"
REFINE = (
    "refine run -o refined --steps 8 --batch-size 8 --flow-steps 2 --classifiers 1 --classifier-epochs 1 --threads 1"
)
FEATURES = "train-features --data data.npz -o features --channels 2 --features 4 --epochs 3 --batch-size 32 --threads 1"
EXPORT = "export run -o made --components 1 --evaluations 1 --licence CC0"
OVERWRITE = "export run -o made --components 2 --evaluations 1 --licence CC0 --overwrite"
CREATE = "create --resume made"
PREPARATION = (TRAIN, PRIOR, EXPORT)  # commands that are run, in this order, to prepare folders for the jobs
# For each job: how many of the commands in PREPARATION, counted from the first, are run before the job.
PREPARED = {
    "train": 0,
    "train-prior": 1,
    "distill": 2,
    "refine": 2,
    "train-features": 0,
    "export": 2,
    "export --overwrite": 3,
    "create": 0,
}


@dataclasses.dataclass(frozen=True)
class Job:
    """A command that is killed and then continued. It runs in a copy of the folder `before`.

    command: arguments of the aegen command. target: the folder that the command writes; its final content is compared
    with that of an uninterrupted run. resumable: saved states. If one of these files exists after a kill, aegen is run
    with the arguments `resume`; otherwise `command` is run again. artifact: whether the target is an artifact, which
    must never be incomplete after a kill. The paths of `target` and `resumable` are relative to the copy.
    """

    name: str
    command: list[str]
    target: str
    before: Path
    resumable: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    artifact: bool = False

    def next_command(self, folder: Path) -> list[str]:
        """Return the arguments with which a user would run aegen next in a folder where this command was killed."""
        return list(self.resume) if any((folder / file).exists() for file in self.resumable) else self.command


def make_jobs(scratch: Path, wanted: list[str], run: Callable[[Path, list[str]], None]) -> list[Job]:
    """Make the jobs with the names in `wanted`, and the folders in which they start.

    scratch: the folder in which these folders are made. run: a function that runs a command in a folder; it is called
    for each command of PREPARATION that the jobs need.
    """
    stages = [scratch / "before" / str(number) for number in range(len(PREPARATION) + 1)]
    make_data(stages[0])
    for number in range(max(PREPARED[name] for name in wanted)):
        shutil.copytree(stages[number], stages[number + 1])
        run(stages[number + 1], PREPARATION[number].split())
    prior_files = ("run/prior-training.pt", "run/prior.pt")
    distilled_files = ("run/prior-distilling.pt",)
    refined_files = ("refined/refining.pt", "refined/best.pt")
    resume_train = ("train", "--resume", "run", "--threads", "1")
    resume_prior = (*PRIOR.split()[:2], "--resume", "--threads=1")
    resume_distill = (*DISTILL.split()[:2], "--resume", "--threads=1")
    resume_refine = (*REFINE.split()[:4], "--resume", "--threads=1")
    feature_files = ("features-training.pt", "features/features.json")
    resume_features = (*FEATURES.split()[:5], "--resume", "--threads=1")
    jobs = [
        Job("train", TRAIN.split(), "run", stages[0], ("run/last.pt",), resume_train),
        Job("train-prior", PRIOR.split(), "run", stages[1], prior_files, resume_prior),
        Job("distill", DISTILL.split(), "run", stages[2], distilled_files, resume_distill),
        Job("refine", REFINE.split(), "refined", stages[2], refined_files, resume_refine),
        Job("train-features", FEATURES.split(), "features", stages[0], feature_files, resume_features),
        Job("export", EXPORT.split(), "made", stages[2], ("made/manifest.json",), ("verify", "made"), artifact=True),
        Job("export --overwrite", OVERWRITE.split(), "made", stages[3], artifact=True),
        Job("create", CREATE.split(), "made", with_plan(stages[0], wanted), artifact=True),
    ]
    return [job for job in jobs if job.name in wanted]


def make_data(folder: Path) -> None:
    """Write 8x8 images of two classes to the file `data.npz` in a new folder."""
    import numpy as np

    random = np.random.default_rng(0)
    images = random.integers(0, 60, (90, 8, 8), np.uint8)
    labels = np.arange(90) % 2
    for image, label in zip(images, labels, strict=True):
        line = image[random.integers(8)] if label else image[:, random.integers(8)]
        line[...] = random.integers(180, 256)
    folder.mkdir(parents=True)
    np.savez(folder / "data.npz", images=images, labels=labels)


def with_plan(data_folder: Path, wanted: list[str]) -> Path:
    """Make a folder in which `create` can continue with a fixed plan, but only if the job `create` is wanted."""
    folder = data_folder.with_name("create")
    if "create" in wanted:
        from aegen.cli.create_run import CreateRun, Request, save
        from aegen.images.read_options import ReadOptions
        from aegen.recipes.feature_extractor import FeatureExtractorRecipe
        from aegen.recipes.learned_priors import FlowRecipe
        from aegen.recipes.plan import Plan
        from aegen.recipes.refinement import RefinementRecipe
        from aegen.recipes.stage_seconds import StepSeconds
        from aegen.recipes.training import Recipe

        plan = Plan(
            threads=1,
            autoencoder=Recipe(kind="vae", widths=(8,), latent_dim=2, epochs=2, learning_rate=0.02),
            prior=FlowRecipe(width=8, blocks=1, steps=40, batch_size=16),
            refinement=RefinementRecipe(steps=8, batch_size=8, flow_steps=2, classifiers=1, classifier_epochs=1),
            features=FeatureExtractorRecipe(channels=2, features=4, epochs=2, batch_size=32),
            components=1,
            evaluated_images=15,
            seconds=dict.fromkeys(
                ("features", "autoencoder", "prior", "classifiers", "refinement", "export", "measure"), 1.0
            ),
            steps=StepSeconds(0.1, 0.1, 0.1, 0.1),
            reasons=(),
        )
        request = Request(str(data_folder / "data.npz"), ReadOptions(), 60.0, False, 1, None, "CC0")
        (folder / "made-run").mkdir(parents=True)
        save(CreateRun(request, plan), folder / "made-run")
    return folder
