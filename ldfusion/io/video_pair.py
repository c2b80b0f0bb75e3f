"""A visible and an infrared video in step: for each visible frame the infrared frame nearest in time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from ldfusion.errors import InputError
from ldfusion.io.frame import Frame, Video


@dataclass(frozen=True)
class FramePair:
    """Two frames shown at the same moment.

    Attributes:
        time: seconds since the first pair.
        visible, infrared: the frames, with the times of their own files.
    """

    time: float
    visible: Frame
    infrared: Frame


class PairedVideo:
    """Two videos matched by their presentation times; the frame rates, beginnings, ends and sizes may differ.

    The clocks of both files are taken to be one, but for ``offset``. Visible frames without infrared at that time,
    before the infrared begins or after it has ended, are left out.

    Args:
        visible: reader of the visible video.
        infrared: reader of the infrared video.
        offset: seconds to add to the visible clock to get the infrared one: positive when a scene comes later in the
            infrared file.

    Attributes:
        left_out: visible frames so far that had no infrared at their time.
        held: pairs so far whose infrared frame is more than one and a half frames away, because frames are missing.
    """

    def __init__(self, visible: Video, infrared: Video, offset: float = 0.0) -> None:
        self.visible, self.infrared, self.offset = visible, infrared, offset
        self.left_out = self.held = 0
        self._step = 1 / float(infrared.info.rate)
        self._tolerance = max(self._step, 1 / float(visible.info.rate))
        self._ended = ""

    def pairs(self, start: float = 0.0, seconds: float | None = None) -> Iterator[FramePair]:
        """The pairs in order of time.

        Args:
            start: seconds after the first visible frame to begin at.
            seconds: how long at most.

        Raises:
            InputError: not one pair: the start is past the end, or the two have no time in common.
        """
        self.left_out = self.held = 0
        self._ended = ""
        begin = self.visible.info.start + start
        end = None if seconds is None else begin + seconds
        infrared = self.infrared.frames(begin + self.offset - 2 * self._tolerance)
        before: Frame | None = None
        after = next(infrared, None)
        origin: float | None = None
        last = begin + self.offset
        for frame in self.visible.frames(begin, end):
            last = target = frame.time + self.offset
            while after is not None and after.time <= target:
                before, after = after, next(infrared, None)
            nearest = _nearest(before, after, target)
            if nearest is None:
                break
            if not self._in_reach(nearest, target, before, after):
                if after is None:  # the infrared is over
                    self._note_end(self.infrared, self.visible, nearest.time + self._step - self.offset)
                    break
                self.left_out += 1
                continue
            self.held += abs(nearest.time - target) > 1.5 * self._tolerance
            origin = frame.time if origin is None else origin
            yield FramePair(frame.time - origin, frame, nearest)
        if origin is None:
            raise InputError(self._nothing(start))
        if end is None and after is not None:
            self._note_end(self.visible, self.infrared, last + 1 / float(self.visible.info.rate))

    def samples(self, count: int, start: float = 0.0, seconds: float | None = None) -> Iterator[FramePair]:
        """Up to ``count`` pairs spread evenly over the clip, each with time 0; the first one where no end is known."""
        total = self.expected(start, seconds)
        length = 0.0 if total is None else total / float(self.visible.info.rate)
        begin = max(start, self.infrared.info.start - self.offset - self.visible.info.start)
        for k in range(count if length else 1):
            with contextlib.suppress(InputError):  # a damaged stretch has no pair
                yield next(self.pairs(begin + length * (k + 0.5) / count, 2 * self._tolerance))

    def expected(self, start: float = 0.0, seconds: float | None = None) -> int | None:
        """About how many pairs there will be; None where the files do not tell how long they are."""
        first = self.visible.info.start + start
        ends = []
        for reader, shift in ((self.visible, 0.0), (self.infrared, self.offset)):
            if reader.info.duration is not None:
                ends.append(reader.info.start + reader.info.duration - shift)
        if not ends:
            return None
        first, last = max(first, self.infrared.info.start - self.offset), min(ends)
        length = last - first if seconds is None else min(last - first, seconds)
        return max(round(length * float(self.visible.info.rate)), 0)

    def notes(self) -> list[str]:
        """What should be known of the two files before they are fused, one line each."""
        own, other = self.visible.info, self.infrared.info
        lines = []
        if abs(own.rate - other.rate) > 0.01 * own.rate:
            lines.append(
                f"{own.path} has {float(own.rate):.4g} frames/s and {other.path} {float(other.rate):.4g}: "
                "every visible frame gets the infrared frame nearest in time"
            )
        late = other.start - self.offset - own.start
        if abs(late) > 1.5 * self._tolerance:
            lines.append(
                f"{other.path} begins {abs(late):.2f} s {'after' if late > 0 else 'before'} {own.path} by the clocks "
                "of the files; only what both show is used"
            )
        lines += [f"the sound of {info.path} is left out" for info in (own, other) if info.has_audio]
        return lines

    def closing_notes(self) -> list[str]:
        """What went by while the pairs were read, one line each."""
        lines = []
        for reader in (self.visible, self.infrared):
            if reader.damaged:
                lines.append(f"{reader.path}: {reader.damaged} damaged packets or frames were passed over")
        if self.left_out:
            noun = "frame had" if self.left_out == 1 else "frames had"
            lines.append(f"{self.left_out} visible {noun} no infrared at their time and were left out")
        if self.held:
            lines.append(f"{self.held} pairs have an infrared frame from further away, since nearer ones are missing")
        if self._ended:
            lines.append(self._ended)
        return lines

    def _in_reach(self, nearest: Frame, target: float, before: Frame | None, after: Frame | None) -> bool:
        """Whether the infrared video covers this time; gaps inside it count as covered."""
        if before is None:
            return nearest.time - target <= 0.75 * self._tolerance
        return after is not None or target - nearest.time <= 0.99 * self._step

    def _note_end(self, shorter: Video, longer: Video, time: float) -> None:
        """Remember that one video is over at ``time`` on the clock of the longer one."""
        if longer.info.duration is None:
            self._ended = f"{shorter.path} is the shorter one; stopped at its end"
            return
        more = longer.info.start + longer.info.duration - time
        if more > 2 * self._tolerance:
            self._ended = f"{shorter.path} ends {more:.2f} s before {longer.path}; stopped there"

    def _nothing(self, start: float) -> str:
        own, other = self.visible.info, self.infrared.info
        spans = [
            f"{info.start:.2f} s to {'its end' if info.duration is None else f'{info.start + info.duration:.2f} s'}"
            for info in (own, other)
        ]
        if own.duration is not None and start >= own.duration:
            return f"{own.path} is {own.duration:.2f} s long; a start of {start:g} s is past its end"
        return (
            f"no moment is in both videos from {start:g} s on: {own.path} has {spans[0]}, {other.path} {spans[1]}, "
            f"offset {self.offset:g} s; give another offset or start"
        )


def _nearest(before: Frame | None, after: Frame | None, target: float) -> Frame | None:
    if before is None or after is None:
        return before or after
    return before if target - before.time <= after.time - target else after
