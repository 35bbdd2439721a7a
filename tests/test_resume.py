"""Resumed training writes the same bytes as uninterrupted training; a run that cannot be resumed is an error."""

import dataclasses
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from aegen.cli import cli as program
from aegen.data.datasets import load
from aegen.recipes.learned_priors import FlowRecipe
from aegen.recipes.refinement import RefinementRecipe
from aegen.recipes.training import Recipe
from aegen.runtime.errors import InputError, NotFoundError, OutputError
from aegen.train import checkpoint, moment_matching, priors
from aegen.train.autoencoder import train
from aegen.train.interrupts import uninterrupted
from aegen.train.refinement import refine, save_training
from click import UsageError

RECIPE = Recipe(kind="vae", widths=(8,), latent_dim=3, epochs=3, learning_rate=0.02)
FILES = ["best.pt", "last.pt", "metrics.jsonl"]


@pytest.fixture
def data(tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(90, (8, 8)), labels=np.arange(90) % 2)
    return str(tmp_path / "bars.npz")


@pytest.fixture
def aegen(tmp_path, monkeypatch, capsys):
    """`aegen("train", ...)` runs a command in this process and in `tmp_path`, and returns its standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        program.main(arguments, standalone_mode=False)
        return capsys.readouterr().err

    return run


def contents(run):
    return {file.name: file.read_bytes() for file in run.iterdir()}


def resume(run, data, recipe=RECIPE):
    return train(recipe, load(data), run, data=data, threads=1, resume=checkpoint.read(run / "last.pt"))


def interrupted(run, data, epoch):
    """Train into the folder `run`, stop with an error after the given epoch, and return the folder."""

    def stop(reached):
        if reached.epoch == epoch:
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        train(RECIPE, load(data), run, data=data, threads=1, report=stop)
    return run


@pytest.fixture
def whole(tmp_path, data):
    """The folder of a training run that was not interrupted."""
    train(RECIPE, load(data), tmp_path / "whole", data=data, threads=1)
    return tmp_path / "whole"


def test_a_resumed_run_has_the_bytes_of_an_uninterrupted_one(tmp_path, data, whole):
    run = interrupted(tmp_path / "interrupted", data, 1)
    resume(run, data)
    assert sorted(contents(run)) == FILES
    assert contents(run) == contents(whole)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_run_that_is_killed_between_the_files_of_an_epoch_is_completed_by_resuming(tmp_path, data, whole, epoch):
    before = contents(interrupted(tmp_path / "before", data, epoch - 1)) if epoch > 1 else {}
    after = contents(interrupted(tmp_path / "after", data, epoch))
    for number, written in enumerate((["last.pt"], ["last.pt", "best.pt"])):
        run = tmp_path / f"killed{number}"
        run.mkdir()
        for name, content in {**before, **{name: after[name] for name in written}}.items():
            (run / name).write_bytes(content)
        (run / ".best.pt.0123abcd.partial").write_bytes(b"half")
        resume(run, data)
        assert contents(run) == contents(whole)


def test_resuming_a_finished_run_restores_missing_files_and_says_that_it_is_finished(aegen, whole):
    expected = contents(whole)
    (whole / "best.pt").unlink()
    (whole / "metrics.jsonl").unlink()
    assert "all 3 epochs were done" in aegen("train", "--resume", "whole", "--threads", "1")
    assert contents(whole) == expected


def test_only_partial_files_of_the_run_itself_are_removed(tmp_path, data):
    run = interrupted(tmp_path / "interrupted", data, 1)
    other = [".best.pt.partial", ".mine.pt.0123abcd.partial", ".best.pt.0123abcdef.partial", "best.pt.0123abcd.partial"]
    for name in (".best.pt.0123abcd.partial", ".metrics.jsonl.fedc0123.partial", *other):
        (run / name).write_bytes(b"half")
    resume(run, data)
    assert sorted(contents(run)) == sorted([*FILES, *other])


def test_a_run_killed_before_its_first_file_was_complete_can_be_begun_anew(tmp_path, data, whole):
    run = tmp_path / "run"
    run.mkdir()
    (run / ".last.pt.0123abcd.partial").write_bytes(b"half")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    train(RECIPE, load(data), run, data=data, threads=1)
    assert contents(run) == contents(whole)
    with pytest.raises(OutputError, match="something there already"):
        train(RECIPE, load(data), tmp_path / "other", data=data)


def test_a_checkpoint_without_a_training_state_is_not_resumed(aegen, whole):
    (whole / "last.pt").write_bytes((whole / "best.pt").read_bytes())
    before = contents(whole)
    with pytest.raises(InputError, match=r"last\.pt: found a checkpoint without a training state, .* Train anew, into"):
        aegen("train", "--resume", "whole")
    assert contents(whole) == before


def test_a_state_that_does_not_fit_is_not_resumed(tmp_path, data, whole):
    last, before = checkpoint.read(whole / "last.pt"), contents(whole)
    with pytest.raises(InputError, match=r"last\.pt: found another epochs, another learning_rate"):
        resume(whole, data, dataclasses.replace(RECIPE, epochs=4, learning_rate=0.03))
    np.savez(tmp_path / "turned.npz", images=np.load(data)["images"].reshape(90, 4, 16))
    with pytest.raises(InputError, match="found images of shape"):
        resume(whole, str(tmp_path / "turned.npz"))
    updates = last.training["updates"]
    optimiser, moments = updates["optimiser"], updates["optimiser"]["state"]
    for training in (
        {},
        {"updates": {"optimiser": optimiser}},
        {"updates": {**updates, "optimiser": {**optimiser, "state": {}}}},
        {"updates": {**updates, "optimiser": {**optimiser, "state": {**moments, 0: moments[2]}}}},
    ):
        with pytest.raises(InputError, match=r"training state of the autoencoder: found another"):
            train(RECIPE, load(data), whole, resume=dataclasses.replace(last, training=training))
    assert contents(whole) == before


def test_no_file_holds_wall_clock_times(whole):
    assert not re.search(rb"second", (whole / "metrics.jsonl").read_bytes())
    assert b"second" not in (whole / "last.pt").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_a_program_wait_for_the_end_of_a_write(number):
    code = f"""
import os, signal, sys
from aegen.cli.stopping import install_signal_handlers
from aegen.train.interrupts import uninterrupted
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal({int(number)}, signal.SIG_DFL if {int(number)} != signal.SIGINT else signal.default_int_handler)
install_signal_handlers()
try:
    with uninterrupted():
        os.kill(os.getpid(), {int(number)})
        print("whole", flush=True)
    print("went on")
except KeyboardInterrupt:
    sys.exit(130)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (128 + number, "whole\n"), done.stderr


def test_ignored_signals_stay_ignored():
    usual = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGTERM)
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, usual)


PRIOR = ("train-prior", "whole", "--width", "8", "--blocks", "1", "--steps", "30", "--threads", "1")


def test_an_unfinished_training_of_a_prior_is_not_overwritten(aegen, tmp_path, data, whole):
    trained, recipe = checkpoint.read(whole), FlowRecipe(width=8, blocks=1, steps=30)
    unfinished = whole / "prior-training.pt"

    def keep(state):
        priors.save_training(state, recipe, trained, unfinished)

    prior = priors.train_prior(trained, load(data), recipe, threads=1, keep=keep)
    before = unfinished.read_bytes()
    with pytest.raises(OutputError, match="found an unfinished training, .* with --resume, or delete it to begin"):
        aegen(*PRIOR)
    assert unfinished.read_bytes() == before
    (whole / ".prior.pt.0123abcd.partial").write_bytes(b"half")
    aegen("train-prior", "whole", "--resume", "--threads", "1")
    priors.save(prior, tmp_path / "expected.pt")
    assert (whole / "prior.pt").read_bytes() == (tmp_path / "expected.pt").read_bytes()
    assert sorted(contents(whole)) == sorted([*FILES, "prior.pt"])
    assert "training is finished" in aegen("train-prior", "whole", "--resume")
    assert (whole / "prior.pt").read_bytes() == (tmp_path / "expected.pt").read_bytes()


@pytest.fixture
def refined(tmp_path, data, whole):
    """The folder of a run whose decoder and prior were refined, for one step."""
    trained, dataset = checkpoint.read(whole), load(data)
    prior = priors.train_prior(trained, dataset, FlowRecipe(width=8, blocks=1, steps=2), threads=1)
    priors.save(prior, priors.beside(whole))
    recipe = RefinementRecipe(steps=1, flow_steps=1, classifiers=1, classifier_epochs=1, batch_size=4)
    checkpoint_after, prior_after = refine(trained, prior, dataset, recipe, threads=1)
    (tmp_path / "refined").mkdir()
    checkpoint.save(checkpoint_after, tmp_path / "refined" / "best.pt")
    priors.save(prior_after, tmp_path / "refined" / "prior.pt")
    return tmp_path / "refined"


def test_a_prior_is_not_trained_for_a_refined_run(aegen, data, refined):
    before = contents(refined)
    with pytest.raises(InputError, match=r"best\.pt: found a refined run, expected the run it was refined from"):
        aegen("train-prior", "refined")
    with pytest.raises(InputError, match="found a refined run"):
        priors.train_prior(checkpoint.read(refined), load(data), FlowRecipe(width=8, blocks=1, steps=2))
    assert contents(refined) == before


def test_a_run_without_a_prior_is_not_refined(aegen, tmp_path, whole):
    with pytest.raises(NotFoundError, match=r"prior\.pt: found no such file.*Run `aegen train-prior`"):
        aegen("refine", "whole", "-o", "none")
    assert not (tmp_path / "none").exists()


def test_resuming_a_finished_refinement_changes_nothing_and_says_that_it_is_finished(aegen, refined):
    before = contents(refined)
    assert "refinement is finished" in aegen("refine", "whole", "-o", "refined", "--resume")
    assert contents(refined) == before


def test_archives_with_unusable_content_are_rejected(tmp_path, whole):
    good = torch.load(whole / "last.pt", weights_only=True)
    for name, content in {
        "list": [1],
        "history": {**good, "history": []},
        "state_dict": {**good, "state_dict": {"network.encoder.1.weight": 3}},
        "object": {**good, "state_dict": [object]},
    }.items():
        torch.save(content, tmp_path / f"{name}.pt")
        with pytest.raises(InputError, match=rf"{name}\.pt"):
            checkpoint.read(tmp_path / f"{name}.pt")


def saved_prior(run, data, seed):
    """Train a prior for a few steps, save it in the folder of its run, and return it."""
    prior = priors.train_prior(checkpoint.read(run), load(data), FlowRecipe(width=8, blocks=1, steps=4, seed=seed))
    priors.save(prior, priors.beside(run))
    return prior


def test_a_refinement_is_not_resumed_with_another_prior(tmp_path, data, whole, aegen):
    first = saved_prior(whole, data, seed=0)
    recipe = RefinementRecipe(steps=4, classifiers=1, classifier_epochs=1, batch_size=16)
    refined = tmp_path / "refined"
    refined.mkdir()
    states = []
    result = refine(checkpoint.read(whole), first, load(data), recipe, keep=states.append)
    save_training(states[0], recipe, checkpoint.read(whole), first, refined / "refining.pt")
    assert result[1].origin == first.fingerprint
    saved_prior(whole, data, seed=5)
    with pytest.raises(InputError, match="found one of another prior"):
        aegen("refine", str(whole), "-o", str(refined), "--resume")
    (refined / "refining.pt").unlink()
    priors.save(result[1], refined / "prior.pt")
    checkpoint.save(result[0], refined / "best.pt")
    with pytest.raises(InputError, match="found one refined from another prior"):
        aegen("refine", str(whole), "-o", str(refined), "--resume")


def test_a_run_is_resumed_on_the_command_line(tmp_path, data, whole, aegen):
    run = interrupted(tmp_path / "run", data, 1)
    assert "epoch 2/3" in aegen("train", "--resume", "run", "--threads", "1")
    assert contents(run) == contents(whole)
    with pytest.raises(UsageError, match="--resume takes the folder, the recipe and the options of the run"):
        aegen("train", "--resume", "run", "--epochs", "9")


def test_a_refinement_is_resumed_on_the_command_line(tmp_path, data, whole, aegen, monkeypatch):
    monkeypatch.setattr(moment_matching, "INTERVAL", 2)
    trained, prior = checkpoint.read(whole), saved_prior(whole, data, seed=0)
    unfinished = tmp_path / "refined" / "refining.pt"
    unfinished.parent.mkdir()

    def keep(state):
        if not unfinished.exists():
            save_training(state, recipe, trained, prior, unfinished)

    recipe = RefinementRecipe(steps=4, classifiers=1, classifier_epochs=1, batch_size=16)
    options = ("--steps", "4", "--classifiers", "1", "--classifier-epochs", "1", "--batch-size", "16", "--threads", "1")
    refine(trained, prior, load(data), recipe, threads=1, keep=keep)
    with pytest.raises(OutputError, match="Continue it with --resume"):
        aegen("refine", "whole", "-o", "refined", *options)
    with pytest.raises(UsageError, match="--resume takes the recipe"):
        aegen("refine", "whole", "-o", "refined", "--resume", "--steps", "9")
    assert "step 4/4" in aegen("refine", "whole", "-o", "refined", "--resume", "--threads", "1")
    aegen("refine", "whole", "-o", "uninterrupted", *options)
    assert contents(tmp_path / "refined") == contents(tmp_path / "uninterrupted")


def test_a_run_is_not_resumed_on_the_same_images_in_another_order(tmp_path, data, whole):
    last = checkpoint.read(whole / "last.pt")
    assert last.facts.shuffled
    older = dataclasses.replace(last, facts=dataclasses.replace(last.facts, shuffled=False))
    with pytest.raises(InputError, match="is not what the network was trained on"):
        train(RECIPE, load(data), whole, data=data, threads=1, resume=older)


def test_two_trainings_cannot_write_to_one_folder(tmp_path, data, aegen):
    from aegen.files.locks import locked_folder

    with locked_folder(tmp_path / "run"), pytest.raises(OutputError, match="another process that writes to it"):
        aegen("train", "--data", data, "-o", "run", "--epochs", "1", "--widths", "8")
    assert not (tmp_path / "run").exists()
    aegen("train", "--data", data, "-o", "run", "--epochs", "1", "--widths", "8")
    assert (tmp_path / "run" / "best.pt").exists()


def test_data_from_a_pipe_must_be_given_again(tmp_path, data, whole):
    piped = dataclasses.replace(checkpoint.read(whole), data=checkpoint.PIPE)
    assert piped.source(data) == data
    with pytest.raises(InputError, match="found data that came through a pipe"):
        piped.source(None)
