"""The HTML card of a model in a notebook: its sample grid, and facts from its manifest beside it."""

import base64
from collections.abc import Mapping
from html import escape

from .manifest import Manifest
from .pixels import shape_in_words

KIND_NAMES = {"ae": "autoencoder", "dae": "denoising autoencoder", "vae": "variational autoencoder"}
PREVIEW_WIDTH = 240  # width of the sample grid in CSS pixels
CARD = (
    '<div style="display:flex;flex-wrap:wrap;gap:16px;align-items:flex-start;max-width:720px">{preview}'
    '<div style="flex:1 1 260px"><strong style="font-size:1.2em">{name}</strong><br>{sentence}'
    '<table style="margin:8px 0 0;border-collapse:collapse">{rows}</table></div></div>'
)
PREVIEW = (
    '<img src="data:image/png;base64,{data}" width="{width}" alt="{alt}" style="image-rendering:pixelated;height:auto">'
)
ROW = (
    '<tr><th scope="row" style="text-align:left;font-weight:normal;opacity:.75;padding:1px 12px 1px 0">{name}</th>'
    '<td style="text-align:left;padding:1px 0">{value}</td></tr>'
)


def html_card(manifest: Manifest, preview: bytes | None) -> str:
    """A card of the model as HTML. All names are escaped. Styles are attributes, because notebooks remove style sheets.

    preview: the bytes of the PNG with the sample grid, or None if the artifact has none.
    """
    origin = "trained on" if manifest.is_trained_by_aegen else "with priors fitted to"
    sentence = (
        f"A {KIND_NAMES.get(manifest.kind, 'autoencoder')} of {shape_in_words(manifest.image.shape)} images, {origin} "
        f"{manifest.data.training_images:,} images of {manifest.data.name}."
    )
    alt = f"Samples of {manifest.name}"
    image = "" if preview is None else _filled(PREVIEW, data=_base64(preview), width=PREVIEW_WIDTH, alt=alt)
    rows = "".join(_filled(ROW, name=name, value=value) for name, value in _facts(manifest).items())
    return CARD.format(preview=image, name=escape(manifest.name), sentence=escape(sentence), rows=rows)


def _facts(manifest: Manifest) -> Mapping[str, str]:
    """The facts in the table of the card: the text of each by its name, such as "classes"."""
    classes = manifest.class_names or tuple(map(str, manifest.labels))
    shown = ", ".join(classes[:12]) + (f" and {len(classes) - 12:,} more" if len(classes) > 12 else "")
    return {
        "latent dimensions": f"{manifest.latent_dim:,}",
        "priors": ", ".join(manifest.priors),
        "by default": f"{manifest.default_prior}, temperature {manifest.default_temperature:g}",
        "classes": shown or "none",
        "size": f"{size_text(manifest.total_bytes)}, {manifest.precision}",
        "licence of the data": manifest.data.licence,
    }


def size_text(count: int) -> str:
    """A number of bytes in MB (10^6 bytes), or in kB if it is small."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def _filled(template: str, **values: object) -> str:
    """Fill a template of HTML with escaped values."""
    return template.format(**{name: escape(str(value)) for name, value in values.items()})


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
