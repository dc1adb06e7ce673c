import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { encodeCheckpoint, parseCheckpoint, signatureProblem } from '../../src/audit/checkpoint.ts';
import {
  encodeKeys,
  encodeNote,
  isSignedBy,
  type Note,
  parseNote,
  parseSigner,
  parseVerifier,
} from '../../src/audit/note.ts';

const vector = JSON.parse(readFileSync(new URL('../vectors/audit/note.json', import.meta.url), 'utf8')) as {
  signer: string;
  verifier: string;
  text: string;
  note: string;
};
const signer = parseSigner(vector.signer);
const verifier = parseVerifier(vector.verifier);

function parsed(text: string): Note {
  const note = parseNote(text);
  if (note === null) throw new Error(`not a note: ${text}`);
  return note;
}

describe('a signed note', () => {
  it('is, byte for byte, what the Go library writes', () => {
    expect(encodeNote(vector.text, signer)).toBe(vector.note);
  });

  it('is accepted when the key signed it', () => {
    expect(parsed(vector.note).text).toBe(vector.text);
    expect(isSignedBy(parsed(vector.note), verifier)).toBe(true);
  });

  it('is not accepted with one character of its text or signature changed', () => {
    for (let i = 0; i < vector.note.length; i++) {
      const other = vector.note[i] === 'A' ? 'B' : 'A';
      const note = parseNote(vector.note.slice(0, i) + other + vector.note.slice(i + 1));
      expect(note !== null && isSignedBy(note, verifier), `character ${i}`).toBe(false);
    }
  });

  it('is not accepted without a signature by that key', () => {
    const other = parseVerifier(encodeKeys('PeterNeumann', Buffer.alloc(32, 7)).verifier);
    expect(isSignedBy(parsed(vector.note), other)).toBe(false);
    expect(isSignedBy(parsed(encodeNote(vector.text, null)), verifier)).toBe(false);
  });

  it('has one spelling of its signature', () => {
    // The last base64 digit has bits that no byte takes up.
    expect(parseNote(vector.note.replace('nAM=\n', 'nAN=\n'))).toBeNull();
    expect(parseNote(vector.note.replace(/\n$/, ''))).toBeNull();
    expect(parseNote('no empty line\n')).toBeNull();
  });
});

describe('keys', () => {
  it('are made in the form in which they are read', () => {
    const keys = encodeKeys('example.com/log', Buffer.alloc(32, 9));
    const note = parsed(encodeNote('hello\n', parseSigner(`${keys.signer}\n`)));
    expect(isSignedBy(note, parseVerifier(keys.verifier))).toBe(true);
  });

  it('are refused when damaged, without showing a secret one', () => {
    const secret = vector.signer.slice(-20);
    for (const bad of [
      '',
      vector.verifier,
      vector.signer.replace('c74f', 'c74e'),
      vector.signer.replace('AYEK', 'AYEL'),
    ]) {
      const read = () => parseSigner(bad);
      expect(read).toThrow(expect.objectContaining({ code: 'config' }));
      expect(read).not.toThrow(secret);
    }
    for (const bad of ['', vector.signer, vector.verifier.replace('c74f', 'c74e')]) {
      expect(() => parseVerifier(bad)).toThrow(expect.objectContaining({ code: 'config' }));
    }
    expect(() => encodeKeys('two words', Buffer.alloc(32))).toThrow(
      expect.objectContaining({ code: 'config' }),
    );
    expect(() => encodeKeys('a+b', Buffer.alloc(32))).toThrow(expect.objectContaining({ code: 'config' }));
  });
});

describe('a checkpoint', () => {
  const root = Buffer.alloc(32, 5);
  const text = encodeCheckpoint('PeterNeumann', 12, root, signer);

  it('says how many records there are and their root', () => {
    expect(parseCheckpoint(text)).toMatchObject({ origin: 'PeterNeumann', size: 12, root });
    expect(signatureProblem(parseCheckpoint(text), verifier)).toBeNull();
  });

  it('is complained of when it is not signed as it should be', () => {
    const unsigned = parseCheckpoint(encodeCheckpoint('PeterNeumann', 12, root, null));
    expect(signatureProblem(unsigned, verifier)).toContain('is not signed');
    expect(signatureProblem(unsigned, null)).toBeNull();
    expect(signatureProblem(parseCheckpoint(text), null)).toContain('no key is configured');
    const other = parseCheckpoint(encodeCheckpoint('elsewhere', 12, root, signer));
    expect(signatureProblem(other, verifier)).toContain('of the log elsewhere');
    const forged = parseCheckpoint(text.replace('\n12\n', '\n13\n'));
    expect(signatureProblem(forged, verifier)).toContain('not that of');
  });

  it.each(['\n012\n', '\n-1\n', '\n1e3\n', '\n99999999999999999\n', '\n12\n\n'])('has no size %j', (size) => {
    expect(() => parseCheckpoint(text.replace('\n12\n', size))).toThrow(
      expect.objectContaining({ code: 'log_invalid' }),
    );
  });
});
