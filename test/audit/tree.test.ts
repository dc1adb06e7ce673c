import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { leafHash, RightEdge } from '../../src/audit/tree.ts';

const vectors = JSON.parse(
  readFileSync(new URL('../vectors/audit/rfc6962.json', import.meta.url), 'utf8'),
) as { leaves: string[]; roots: string[] };

/** RFC 6962 section 2.1 to the letter. */
function definition(leaves: readonly Buffer[]): Buffer {
  const first = leaves[0];
  if (first === undefined) return createHash('sha256').digest();
  if (leaves.length === 1) return createHash('sha256').update('\0').update(first).digest();
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  const children = [definition(leaves.slice(0, k)), definition(leaves.slice(k))];
  return createHash('sha256').update('\u0001').update(Buffer.concat(children)).digest();
}

describe('the RFC 6962 tree', () => {
  it.each(vectors.roots.map((root, size) => [size, root] as const))(
    'has the root of %i leaves',
    (size, root) => {
      const edge = new RightEdge();
      for (const leaf of vectors.leaves.slice(0, size)) edge.append(leafHash(Buffer.from(leaf, 'hex')));
      expect(edge.size).toBe(size);
      expect(edge.root().toString('hex')).toBe(root);
    },
  );

  it('goes on from the peaks that it had', () => {
    const hashes = Array.from({ length: 70 }, (_, i) => leafHash(Buffer.from(`leaf ${i}`)));
    const whole = new RightEdge();
    for (let size = 0; size < hashes.length; size++) {
      const edge = RightEdge.from(size, whole.peaks);
      for (const hash of hashes.slice(size)) edge?.append(hash);
      expect(edge?.size).toBe(hashes.length);
      for (const wrong of [size + 1, -1, 0.5]) {
        if (wrong === size + 1 && size % 2 === 1) continue;
        expect(RightEdge.from(wrong, whole.peaks), `${size} as ${wrong}`).toBeNull();
      }
      const rest = new RightEdge();
      for (const hash of hashes) rest.append(hash);
      expect(edge?.root()).toEqual(rest.root());
      whole.append(hashes[size] as Buffer);
    }
  });

  it('has the roots that the definition gives, at every size to 130', () => {
    const edge = new RightEdge();
    const leaves: Buffer[] = [];
    for (let i = 0; i < 130; i++) {
      const leaf = Buffer.from(`leaf ${i}`);
      leaves.push(leaf);
      edge.append(leafHash(leaf));
      expect(edge.root()).toEqual(definition(leaves));
    }
  });
});
