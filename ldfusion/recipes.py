"""The configuration files: where the shipped ones lie, what they add to each other, and the phases of a training.

A file may say ``extends: NAME`` and then holds only what it changes in that configuration. ``phases`` lists what is
trained after it, each a name or a mapping of changes (with ``extends`` of its own); a phase that names no
``train.init`` starts from the weights of the one before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ldfusion.config import Experiment, check_keys, nearest
from ldfusion.errors import InputError

_CHECKOUT = Path(__file__).resolve().parents[1] / "configs"
"""Where the shipped configurations lie in a checkout; a wheel has them inside the package."""


def shipped() -> dict[str, Path]:
    """The configurations that come with the program by their names: ``fusion``, ``tiny/fusion`` and so on."""
    folder = next(folder for folder in (Path(__file__).with_name("configs"), _CHECKOUT) if folder.is_dir())
    found = {file.relative_to(folder).with_suffix("").as_posix(): file for file in sorted(folder.rglob("*.yaml"))}
    return {name: file for name, file in found.items() if not name.startswith("accelerate/")}


def find(name: str | Path) -> Path:
    """A configuration file: the file of that path, else one of `shipped`, from whatever folder.

    Args:
        name: a path, or the name of a shipped one, with or without ``configs/`` and ``.yaml``.

    Raises:
        InputError: there is none.
    """
    given = Path(name)
    if given.is_file():
        return given
    known = shipped()
    word = given.as_posix().removeprefix("configs/").removesuffix(".yaml")
    if word not in known:
        raise InputError(f"{name}: no such configuration file, and no shipped one; {nearest(word, known)}")
    return known[word]


def load(path: str | Path, overrides: Iterable[str] = ()) -> Experiment:
    """Read a configuration, see `find`, and apply ``section.key=value`` overrides; phases are left to `load_phases`.

    Raises:
        InputError: missing file, invalid YAML, unknown key (the nearest known one is named) or a value of a wrong type.
    """
    file = find(path)
    return _experiment(file, _read(file), list(overrides))[0]


def load_phases(path: str | Path, overrides: Iterable[str] = ()) -> list[Experiment]:
    """A configuration and all its phases, in the order in which they are trained.

    Args:
        path: see `find`.
        overrides: for all of them; ``output=FOLDER`` is the folder that holds the folders of all runs, if there are
            phases, and ``phases=[]`` leaves them out.

    Raises:
        InputError: as `load`, or two runs of the same output folder.
    """
    words = list(overrides)
    file = find(path)
    first, phases = _experiment(file, _read(file), words)
    if not phases:
        return [first]
    given = next((word.partition("=")[2] for word in words if word.startswith("output=")), "")
    words = [word for word in words if not word.startswith(("output=", "phases="))]
    out = [_experiment(file, _read(file), words)[0]]
    for phase in phases:
        own = {"extends": phase} if isinstance(phase, str) else phase
        source = _beside(file, phase) if isinstance(phase, str) else file
        named = _raw(source) if isinstance(phase, str) else own
        experiment, _ = _experiment(source, _extended(own, file, ()), words)
        if not isinstance(named.get("train"), Mapping) or "init" not in named["train"]:
            experiment.train.init = f"{out[-1].output}/weights"
        out.append(experiment)
    outputs = [experiment.output for experiment in out]
    twice = next((name for name in outputs if outputs.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{file}: two phases have the output '{twice}'; give each its own")
    return _moved(out, given) if given else out


def _moved(experiments: list[Experiment], folder: str) -> list[Experiment]:
    """The same with all outputs within a folder, and what starts from one of them starting from there."""
    places = {e.output: f"{folder}/{Path(e.output).name}" for e in experiments}

    def move(value: Any) -> Any:
        if isinstance(value, list):
            return [move(item) for item in value]
        root = next((name for name in places if isinstance(value, str) and f"{value}/".startswith(f"{name}/")), None)
        return value if root is None else places[root] + value[len(root) :]

    for e in experiments:
        e.output, e.train.init, e.train.init_mean = move(e.output), move(e.train.init), move(e.train.init_mean)
        e.model = {key: move(value) for key, value in e.model.items()}
    return experiments


def _beside(file: Path, name: str) -> Path:
    """The configuration that a file names: one in the same folder comes first."""
    near = file.parent / f"{name.removesuffix('.yaml')}.yaml"
    return near if near.is_file() else find(name)


def _raw(file: Path) -> dict[str, Any]:
    """What stands in a file."""
    from omegaconf import OmegaConf
    from yaml import YAMLError

    try:
        given = OmegaConf.load(file)
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error
    if not OmegaConf.is_dict(given):
        raise InputError(f"{file}: a configuration is a mapping of sections, not a list or a word")
    values: Any = OmegaConf.to_container(given)
    return dict(values)


def _read(file: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A file with what it extends."""
    if file in seen:
        raise InputError(f"{file}: extends itself, by way of {', '.join(str(other) for other in seen)}")
    return _extended(_raw(file), file, (*seen, file))


def _extended(own: Mapping[str, Any], file: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """Values over those of the configuration that their ``extends`` names; the phases of that one are not theirs."""
    from omegaconf import OmegaConf

    name = own.get("extends")
    if name is None:
        return dict(own)
    if not isinstance(name, str):
        raise InputError(f"{file}: extends: {name!r}; give the name of one configuration")
    base = _read(_beside(file, name), seen)
    base.pop("phases", None)
    merged: Any = OmegaConf.to_container(OmegaConf.merge(base, {k: v for k, v in own.items() if k != "extends"}))
    return dict(merged)


def _experiment(file: Path, values: Mapping[str, Any], overrides: list[str]) -> tuple[Experiment, list[Any]]:
    """The experiment that values of a file and overrides describe, and its phases."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        merged = OmegaConf.merge(dict(values), OmegaConf.from_dotlist([_override(str(word)) for word in overrides]))
        given: Any = OmegaConf.to_container(merged, resolve=True)
        phases = given.pop("phases", [])
        if not isinstance(phases, list) or not all(isinstance(phase, str | dict) for phase in phases):
            raise InputError("phases: a list of names of configurations, or of mappings of changes")
        _check_schema(given, Experiment)
        experiment = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Experiment), given))
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error
    except OmegaConfBaseException as error:
        raise InputError(f"{file}: {str(error).splitlines()[0]} (key '{error.full_key}')") from error
    except TypeError as error:  # what OmegaConf raises for an override below a list or a value
        raise InputError(f"{file}: {error}; write lists whole, e.g. data.crop=[160,160]") from error
    assert isinstance(experiment, Experiment)
    return experiment, phases


def _override(word: str) -> str:
    if "=" not in word:
        raise InputError(f"override '{word}': write it as section.key=value")
    return word + "''" if word.endswith("=") else word  # YAML would read nothing as null; a user means no text


def _check_schema(given: Any, schema: type, section: str = "") -> None:
    fields = {f.name: f for f in dataclasses.fields(schema)}
    if not isinstance(given, Mapping):
        raise InputError(f"section '{section}' holds {given!r}; it needs keys: {', '.join(fields)}")
    check_keys(given, fields, f"section '{section}'" if section else "top level")
    for name, f in fields.items():
        factory = f.default_factory
        if name in given and isinstance(factory, type) and dataclasses.is_dataclass(factory):
            _check_schema(given[name], factory, f"{section}.{name}" if section else name)
