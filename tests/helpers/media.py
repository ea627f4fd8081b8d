"""Files of many kinds, encoded by FFmpeg as a library."""

import io

import av
import numpy as np

# Encoders that want other sample formats than their first one.
SAMPLE_FORMATS = {"libopus": "flt", "pcm_s16be": "s16", "pcm_s16le": "s16", "mp2": "s16", "flac": "s16"}


def encoded(waveform, container, codec, sample_rate=44100, layout=None, options=None, disposition=None):
    """``waveform`` (channels, samples) as the bytes of a file; several waveforms become several tracks.

    ``disposition`` gives each track's.
    """
    waveforms = waveform if isinstance(waveform, (list, tuple)) else [waveform]
    file = io.BytesIO()
    with av.open(file, "w", format=container, options={"strict": "-2", **(options or {})}) as out:
        streams = []
        for number, each in enumerate(waveforms):
            stream = out.add_stream(codec, rate=sample_rate, layout=layout or ("mono" if len(each) == 1 else "stereo"))
            if codec == "wmav2":
                stream.bit_rate = 128_000
            if disposition is not None:
                stream.disposition = disposition[number]
            streams.append(stream)
        for stream, each in zip(streams, waveforms, strict=True):
            shape = stream.codec_context.layout
            wanted = SAMPLE_FORMATS.get(codec) or stream.codec_context.format.name
            packed = np.ascontiguousarray(each.T, dtype=np.float32).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=shape)
            frame.sample_rate, frame.pts = sample_rate, 0
            resampler = av.AudioResampler(format=wanted, layout=shape, rate=sample_rate)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                out.mux(stream.encode(part))
            out.mux(stream.encode(None))
    return file.getvalue()


def remuxed(raw, container, options=None):
    """The packets of a file in another container, as ``ffmpeg -c copy`` and PyAV's own recipe do it."""
    file = io.BytesIO()
    with (
        av.open(io.BytesIO(raw)) as source,
        av.open(file, "w", format=container, options={"strict": "-2", **(options or {})}) as out,
    ):
        stream = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return file.getvalue()


def decoded(raw):
    """Everything that FFmpeg decodes of a file's first audio track: (channels, samples)."""
    with av.open(io.BytesIO(raw)) as container:
        to_float = av.AudioResampler(format="fltp")
        parts = [part.to_ndarray() for frame in container.decode(audio=0) for part in to_float.resample(frame)]
    return np.concatenate(parts, axis=1)
