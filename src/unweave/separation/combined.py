"""Several streams as one: of different models, or of one model over shifted segments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from unweave.dsp.combining import combiner
from unweave.dsp.segments import SampleQueue
from unweave.separation.rules import Rules
from unweave.separation.stream import Stream, StreamFormat
from unweave.types import Stems, Waveform


class CombinedStream:
    """Streams over one mixture side by side, whose stems of the same name become one by a rule: a `Stream`.

    Samples leave when every stream has them, and every stem. ``streams`` come with the weight of each, and with what
    its stems are called here: its own name → the common name; ``names`` are those of the stems that come out. Rules
    see estimates in the order of the streams.
    """

    def __init__(
        self,
        streams: Sequence[tuple[Stream, Mapping[str, str], float]],
        names: Sequence[str],
        form: StreamFormat,
        rules: Rules | None = None,
    ) -> None:
        self._streams = [stream for stream, _, _ in streams]
        self._form = form
        self._names = [names for _, names, _ in streams]
        self._waiting = [{name: SampleQueue() for name in names.values()} for names in self._names]
        self._n_waiting = [0 for _ in streams]
        rules = rules or Rules()
        self._combiners = {
            name: combiner(
                rules.of(name),
                [weight for _, own, weight in streams if name in own.values()],
                form.output_channels,
                form.output_rate,
            )
            for name in names
        }
        self._combined = {name: SampleQueue() for name in names}
        self._n_combined = dict.fromkeys(names, 0)

    def push(self, block: Waveform) -> Stems:
        """See `Stream`."""
        for index, stream in enumerate(self._streams):
            self._take(index, stream.push(block))
        return self._ready()

    def drain(self) -> Iterator[Stems]:
        """See `Stream`."""
        for index, stream in enumerate(self._streams):
            for part in stream.drain():
                self._take(index, part)
                yield self._ready()
        for name, one in self._combiners.items():
            self._keep(name, one.flush())
        yield self._given()

    def close(self) -> None:
        """See `Stream`."""
        for stream in self._streams:
            stream.close()

    def _take(self, index: int, part: Stems) -> None:
        for name, waveform in part.items():
            self._waiting[index][self._names[index][name]].push(waveform)
        self._n_waiting[index] += part.n_samples

    def _ready(self) -> Stems:
        """What all streams have, combined."""
        n_ready, n_channels = min(self._n_waiting), self._form.output_channels
        self._n_waiting = [n - n_ready for n in self._n_waiting]
        for name, one in self._combiners.items():
            estimates = [queues[name].take(n_ready, n_channels) for queues in self._waiting if name in queues]
            self._keep(name, one.push(estimates))
        return self._given()

    def _keep(self, name: str, waveform: Waveform) -> None:
        self._combined[name].push(waveform)
        self._n_combined[name] += waveform.shape[1]

    def _given(self) -> Stems:
        """What all stems have: rules over spectra hold some samples back."""
        n_given = min(self._n_combined.values())
        for name in self._n_combined:
            self._n_combined[name] -= n_given
        stems = {name: queue.take(n_given, self._form.output_channels) for name, queue in self._combined.items()}
        return Stems(stems, self._form.output_rate)
