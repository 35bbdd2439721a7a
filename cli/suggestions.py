"""Suggestions for mistyped names of commands and options, and for names that other tools use."""

import difflib
import re
from pathlib import Path

import click

from .parsed_arguments import ParsedArguments

DATA_SUFFIXES = (".npz", ".npy", ".gz", ".zip", ".tar", ".csv", ".parquet")  # suffixes of files with images
MAX_LISTED = 6  # a group with fewer commands lists them all in a message
MIN_SIMILARITY = 0.65  # smallest similarity, from 0 to 1, of a mistyped name and the name that is suggested

COMMANDS = {  # for each command, other names that users may type
    "sample": "generate create draw gen samples",
    "reconstruct": "reconstruction autoencode roundtrip",
    "denoise": "clean restore",
    "interpolate": "morph interpolation walk lerp slerp",
    "traverse": "traversal traversals dimensions",
    "manifold": "plane latent-grid",
    "similar": "search nearest neighbours neighbors knn",
    "plot": "figure chart draw visualize",
    "report": "html page",
    "encode": "embed latents latent",
    "evaluate": "eval score metrics test measure fid",
    "compare": "diff table",
    "info": "show inspect describe about card",
    "models": "list ls model",
    "verify": "check validate",
    "bench": "benchmark speed time profile",
    "doctor": "diagnose env debug",
    "train": "fit learn",
    "refine": "finetune fine-tune tune",
    "export": "convert onnx save",
}

# Other names for each option or argument. If a name is listed several times, it stands for the first option or argument
# in this order that the command has.
NAMES = {
    "-n": "n count num number amount samples images num-samples n-samples num-images paths",
    "IMAGES": "input in input-file images image file files path data folder dir",
    "LATENTS": "input in input-file latents latent file path",
    "RUN": "run checkpoint ckpt weights input in file path name model",
    "--data": "dataset data-dir data-path images input in train-data file path folder",
    "--model": "name checkpoint ckpt weights network net artifact model-path model-name onnx",
    "MODEL": "model name checkpoint ckpt weights network net artifact model-path model-name onnx file path",
    "--output": "out outfile out-file output-file output-dir output-path out-dir outdir dest destination save save-to "
    "target to file filename path folder dir",
    "--threads": "workers num-workers num-threads n-threads jobs n-jobs cores cpus cpu",
    "--seed": "random-seed random-state manual-seed rng",
    "--start": "offset skip first from",
    "--label": "class class-name classes category digit condition",
    "--temperature": "temp truncation",
    "--noise": "std sigma noise-std noise-level",
    "--prior": "distribution sampler kind type",
    "--columns": "cols ncol ncols nrow nrows rows",
    "--scale": "zoom upscale factor size",
    "--dtype": "type precision",
    "--steps": "frames num-steps n-steps max-steps iterations iters",
    "--method": "curve interpolation slerp mode",
    "--dims": "dimensions dim dimension latent-dims",
    "--range": "extent std stds limit",
    "--features": "extractor feature-extractor",
    "--seconds": "time duration repeat repeats",
    "--format": "table output-format",
    "--recipe": "config preset hyperparameters",
    "--resume": "continue restart",
    "--kind": "type model-type variational",
    "--network": "arch architecture backbone",
    "--widths": "hidden hidden-dims hidden-sizes layers units",
    "--latent-dim": "latent latents latent-size latent-dims z-dim zdim dim dims",
    "--activation": "output-activation",
    "--beta": "kl kl-weight",
    "--learning-rate": "lr",
    "--batch-size": "batch bs",
    "--epochs": "num-epochs n-epochs max-epochs",
    "--weight-decay": "wd",
    "--clip": "grad-clip clip-norm max-grad-norm",
    "--licence": "license",
    "--components": "k gmm mixture",
    "--precision": "dtype quantize quantise int8 fp16 half bits",
    "--overwrite": "force replace yes",
    "--quiet": "silent no-progress",
}

# Option names that are answered with a sentence instead of another name. Each entry holds an option and the sentence,
# which is shown only by commands that have this option.
SENTENCES = {
    "grid": ("--output", "-o grid.png writes a grid."),
    "png": ("--output", "-o grid.png writes a grid."),
    "gif": ("--output", "-o images.gif writes an animation."),
    "npy": ("--output", "-o images.npy writes an array."),
    "npz": ("--output", "-o images.npz writes an array."),
    "format": ("--scale", "The suffix of -o chooses the format: .png, .jpg, .webp, .gif, .npy or .npz."),
    "json": ("--format", "--format json prints JSON."),
    "markdown": ("--format", "--format markdown prints a table in Markdown."),
    "device": ("--threads", "Models run on the CPU; --threads sets how many cores are used."),
    "gpu": ("--threads", "Models run on the CPU; --threads sets how many cores are used."),
    "cuda": ("--threads", "Models run on the CPU; --threads sets how many cores are used."),
    "provider": ("--threads", "Models run on the CPU; --threads sets how many cores are used."),
}


def no_such_command(name: str, known: list[str]) -> str:
    """Error message for an unknown command, with the command that was probably meant. known: names of all commands."""
    meant = {other: command for command in known for other in COMMANDS.get(command, "").split()}
    command = _closest(name, meant | {command: command for command in known})
    return f"No such command '{name}'." + (f" Did you mean '{command}'?" if command else _for_path(name, known))


def no_such_argument(message: str, parsed: ParsedArguments) -> str:
    """Add to a message the option that was probably meant by an argument that a command does not take.

    message: the message about the argument, or about an option that is missing. parsed: the command's arguments.
    """
    option = _option_for(parsed.rest[0], parsed) if parsed.rest else None
    return f"{message.rstrip('.')}. Did you mean '{option}'?" if option else message


def no_whole_number(message: str) -> str:
    """Say what is wrong with a text that click found to be no number, and suggest `1000` for `1,000`."""
    match = re.search("('?)(\\S+)\\1 is not a valid integer(?: range)?\\.$", message)
    if match is None:
        return message
    digits = re.fullmatch(r"(-?[0-9]{1,3})((?:[,.' ][0-9]{3})+)", match[2])
    suggestion = f" Did you mean {digits[1]}{re.sub('[^0-9]', '', digits[2])}?" if digits else ""
    return f"{message[: match.start()]}'{match[2]}' is no whole number.{suggestion}"


def no_such_option(name: str, ctx: click.Context) -> str:
    """Error message for an unknown option, with the option or argument that was probably meant.

    ctx: the context of the command to which the option was given.
    """
    suggestion = _for_short(name, ctx) if name[1:2] != "-" else _closest(name[2:].replace("_", "-"), _answers(ctx))
    return f"No such option '{name}'. {suggestion or ''}".rstrip()


def _for_path(name: str, known: list[str]) -> str:
    """A sentence on an unknown command, if the group is small or the name is a path; otherwise an empty text."""
    if len(known) < MAX_LISTED:
        return f" Choose one of {', '.join(known)}."
    if "info" in known and ("/" in name or "." in name) and _exists(name):
        return f" A command comes first, such as `aegen info --data {name}`."
    return ""


def _option_for(argument: str, parsed: ParsedArguments) -> str | None:
    """The option whose name was probably forgotten before an argument; None if that is not clear."""
    from ..data.downloads import KNOWN
    from ..runtime.artifact import shipped

    if argument.isdecimal():
        flag = "-n"
    elif "argument" not in parsed.values and (argument in shipped() or _exists(f"{argument}/manifest.json")):
        flag = "--model"
    elif argument in KNOWN or _exists(argument) or Path(argument).suffix.lower() in DATA_SUFFIXES:
        flag = "--data" if parsed.takes("--data") and not parsed.has("--data") else "-o"
    else:
        flag = "-o"
    return f"{flag} {argument}" if parsed.takes(flag) and not parsed.has(flag) else None


def _for_short(name: str, ctx: click.Context) -> str | None:
    """Suggest options with the same first letter. If the user types `-name`, click reports only `-n`."""
    options = [f"'{option}'" for option in _options(ctx) if option.startswith(f"-{name.lower()}")]
    return f"Did you mean {' or '.join(options)}?" if options else None


def _answers(ctx: click.Context) -> dict[str, str]:
    """Map each name that a user may type, without dashes, to a sentence that suggests an option or argument."""
    options, arguments = _options(ctx), _arguments(ctx)
    did_you_mean = {option: f"Did you mean '{option}'?" for option in options}
    parameters = did_you_mean | {name: f"Give {name} without the name of an option." for name in arguments}
    others = {other: parameters[one] for one in reversed(NAMES) if one in parameters for other in NAMES[one].split()}
    sentences = {name: sentence for name, (option, sentence) in SENTENCES.items() if option in options}
    return others | sentences | {option.lstrip("-"): text for option, text in did_you_mean.items()}


def _options(ctx: click.Context) -> list[str]:
    parameters = ctx.command.get_params(ctx)
    return [name for parameter in parameters if isinstance(parameter, click.Option) for name in parameter.opts]


def _arguments(ctx: click.Context) -> list[str]:
    """Names of a command's arguments, in capitals as in its help, but without brackets and dots."""
    arguments = [each.metavar or "" for each in ctx.command.params if isinstance(each, click.Argument)]
    return [name for metavar in arguments for name in re.findall(r"^\W*([A-Z]+)", metavar)]


def _closest(name: str, answers: dict[str, str]) -> str | None:
    """The value in `answers` whose key is most similar to `name`; None if all keys are too different."""
    name = name.lower()
    beginning = [known for known in answers if len(name) > 1 and known.startswith(name)]
    similar = difflib.get_close_matches(name, answers, 1, MIN_SIMILARITY)
    matches = [known for known in (name, *beginning, *similar) if known in answers]
    return answers[matches[0]] if matches else None


def _exists(path: str) -> bool:
    """Whether there is a file or folder; False for names that no file can have."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False
