// Does to a conversation what networks, bugs and attackers do: first to its messages, then to their bytes, then to the
// stream as a whole. Everything by the chance that is handed in.
import { HEADER_LENGTH } from '../../src/wire/frames.ts';
import { FRONTEND } from '../../src/wire/frontend.ts';
import { framed } from './messages.ts';
import type { Random } from './random.ts';
import type { Step } from './step.ts';

const TAGS: readonly number[] = Object.values(FRONTEND);
/** More than a chunk of a socket, so that what stands behind it comes later. */
const LARGE_LENGTH = 80_000;

type Frames = readonly Buffer[];

// — Messages —————————————————————————————————————————————————————————————————————————————————————————————

type FramesMutation = (frames: Frames, random: Random, others: readonly Frames[]) => Buffer[];

const drop: FramesMutation = (frames, random) => frames.toSpliced(random.below(frames.length), 1);

const duplicate: FramesMutation = (frames, random) => {
  const at = random.below(frames.length);
  const times = random.chance(10) ? random.between(10, 40) : 1;
  return frames.toSpliced(at, 0, ...Array.from({ length: times }, () => frames[at] as Buffer));
};

const move: FramesMutation = (frames, random) => {
  const left = [...frames];
  const [moved] = left.splice(random.below(left.length), 1);
  return moved === undefined ? left : left.toSpliced(random.below(left.length + 1), 0, moved);
};

const truncate: FramesMutation = (frames, random) => frames.slice(0, random.between(1, frames.length));

/** The beginning of one session and the end of another. */
const splice: FramesMutation = (frames, random, others) => {
  const other = random.pick(others);
  return [...frames.slice(0, random.below(frames.length + 1)), ...other.slice(random.below(other.length))];
};

/** Two sessions at once on one connection. */
const interleave: FramesMutation = (frames, random, others) => {
  const left = [[...frames], [...random.pick(others)]];
  const woven: Buffer[] = [];
  while (left.some((rest) => rest.length > 0)) {
    const rest = random.pick(left.filter((each) => each.length > 0));
    woven.push(...rest.splice(0, random.between(1, 3)));
  }
  return woven;
};

const insert: FramesMutation = (frames, random, others) =>
  frames.toSpliced(random.below(frames.length + 1), 0, random.pick(random.pick(others)));

// — Bytes ————————————————————————————————————————————————————————————————————————————————————————————————

type BytesMutation = (frame: Buffer, random: Random) => Buffer;

/** The body with its length set right again: the frame is whole, and what is in it may be anything. */
const reframed = (frame: Buffer, body: Buffer): Buffer => framed(frame[0] ?? 0, body);

const flipBits: BytesMutation = (frame, random) => {
  const bytes = Buffer.from(frame);
  for (let times = random.between(1, 4); times > 0; times--) {
    const at = random.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  }
  return bytes;
};

const flipBody: BytesMutation = (frame, random) =>
  frame.length === HEADER_LENGTH ? frame : reframed(frame, flipBits(frame.subarray(HEADER_LENGTH), random));

const cutBody: BytesMutation = (frame, random) =>
  reframed(frame, frame.subarray(HEADER_LENGTH, random.between(HEADER_LENGTH, frame.length)));

const extendBody: BytesMutation = (frame, random) =>
  reframed(frame, Buffer.concat([frame.subarray(HEADER_LENGTH), random.bytes(random.between(1, 12))]));

const insertInBody: BytesMutation = (frame, random) => {
  const at = random.between(HEADER_LENGTH, frame.length);
  const garbage = random.chance(50) ? Buffer.alloc(random.between(1, 3)) : random.bytes(random.between(1, 8));
  return reframed(frame, Buffer.concat([frame.subarray(HEADER_LENGTH, at), garbage, frame.subarray(at)]));
};

/** Nothing put right: the bytes behind are read as this frame's, or this frame's as the next. */
const cutFrame: BytesMutation = (frame, random) => frame.subarray(0, random.between(1, frame.length - 1));

const wrongLength: BytesMutation = (frame, random) => {
  const bytes = Buffer.from(frame);
  const right = frame.readInt32BE(1);
  const lengths = [
    0,
    3,
    4,
    -1,
    right - 1,
    right + 1,
    right + random.below(64),
    0x7fff_ffff,
    64 * 1024 * 1024,
  ];
  bytes.writeInt32BE(random.pick(lengths) | 0, 1);
  return bytes;
};

const otherTag: BytesMutation = (frame, random) => {
  const bytes = Buffer.from(frame);
  bytes[0] = random.chance(80) ? random.pick(TAGS) : random.below(256);
  return bytes;
};

const garbage: BytesMutation = (_, random) => random.bytes(random.between(1, 60));

const garbageFrame: BytesMutation = (_, random) =>
  framed(random.pick(TAGS), random.bytes(random.between(0, 40)));

const large: BytesMutation = (frame) =>
  frame[0] === FRONTEND.Query
    ? reframed(frame, Buffer.concat([Buffer.alloc(LARGE_LENGTH, 0x20), frame.subarray(HEADER_LENGTH)]))
    : frame;

const FRAMES_MUTATIONS: readonly (readonly [number, FramesMutation])[] = [
  [3, drop],
  [3, duplicate],
  [4, move],
  [1, truncate],
  [4, splice],
  [3, interleave],
  [4, insert],
];

/** Those that leave a frame whole come first: a stream that is out of step ends the session, and nothing more is learnt. */
const BYTES_MUTATIONS: readonly (readonly [number, BytesMutation])[] = [
  [6, flipBody],
  [2, otherTag],
  [3, insertInBody],
  [2, cutBody],
  [1, extendBody],
  [1, garbageFrame],
  [1, large],
  [1, flipBits],
  [1, cutFrame],
  [1, wrongLength],
  [1, garbage],
];

// — The stream ———————————————————————————————————————————————————————————————————————————————————————————

/** Writes of one frame each, or cut and joined anywhere. */
function writesOf(frames: Frames, random: Random): Step[] {
  const how = random.weighted([
    [5, 'frame by frame'],
    [3, 'in one'],
    [3, 'anywhere'],
    [1, 'byte by byte'],
  ]);
  const stream = Buffer.concat(frames);
  if (how === 'frame by frame') return frames.map((bytes) => ({ do: 'send', bytes }));
  if (how === 'in one') return [{ do: 'send', bytes: stream }];
  const largest = how === 'byte by byte' ? 1 : random.between(2, Math.max(2, stream.length));
  const steps: Step[] = [];
  for (let at = 0; at < stream.length; ) {
    // A long stream in single bytes is a long case that says no more than its beginning.
    const length = how === 'byte by byte' && at > 400 ? stream.length : random.between(1, largest);
    steps.push({ do: 'send', bytes: stream.subarray(at, at + length) });
    at += length;
  }
  return steps;
}

const ENDS: readonly (readonly [number, Step['do'] | null])[] = [
  [20, null],
  [2, 'vanish'],
  [1, 'half-close'],
];

/** Waits, cancels, and clients that leave or do not read. */
function interrupted(steps: readonly Step[], random: Random): Step[] {
  const all = [...steps];
  const put = (step: Step): void => void all.splice(random.below(all.length + 1), 0, step);
  for (let times = random.below(4); times > 0; times--) put({ do: 'settle' });
  if (random.chance(12)) for (let times = random.between(1, 3); times > 0; times--) put({ do: 'cancel' });
  if (random.chance(4)) put({ do: 'stop reading' });
  const end = random.weighted(ENDS);
  if (end === 'vanish' || end === 'half-close') {
    all.length = random.below(all.length + 1);
    all.push({ do: end });
  }
  return all;
}

/** A few conversations one after the other, mutated. */
export function mutated(conversations: readonly Frames[], random: Random): Step[] {
  let frames: Buffer[] = [];
  for (let times = random.between(2, 9); times > 0; times--) frames.push(...random.pick(conversations));
  for (let times = random.below(5); times > 0; times--) {
    frames = random.weighted(FRAMES_MUTATIONS)(frames, random, conversations);
    if (frames.length === 0) frames = [...random.pick(conversations)];
  }
  const mutations = random.weighted([
    [3, 0],
    [3, 1],
    [1, 3],
  ]);
  for (let times = mutations; times > 0; times--) {
    // Rather late than early: what comes behind a frame that ends the session is not heard.
    const at = Math.max(random.below(frames.length), random.below(frames.length));
    const frame = frames[at] as Buffer;
    // What has been cut already has no header to speak of.
    if (frame.length >= HEADER_LENGTH) frames[at] = random.weighted(BYTES_MUTATIONS)(frame, random);
  }
  return interrupted(writesOf(frames, random), random);
}
