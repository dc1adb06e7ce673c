// Values of the config that stand for something else: a secret or certificate in a file, a path beside the config.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Problem } from '../base/problem.ts';
import { formatPath } from '../base/schema.ts';
import { Secret } from '../base/secret.ts';
import { fileFailure, type Path, type YamlFile } from '../base/yaml.ts';

/** Two folders up from src/config and from dist/config alike. */
const INSTALLATION = fileURLToPath(new URL('../..', import.meta.url)).replace(/[\\/]$/, '');

export interface ServerTls {
  /** PEM: the certificate and those between it and its root. */
  readonly cert: string;
  readonly key: Secret;
}

export class References {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly #source: YamlFile;

  constructor(source: YamlFile) {
    this.#source = source;
  }

  fail(path: Path, message: string): void {
    this.problems.push(this.#source.problem(path, `${formatPath(path)} ${message}`));
  }

  warn(path: Path, message: string): void {
    this.warnings.push(this.#source.problem(path, `${formatPath(path)} ${message}`));
  }

  /** Relative to the folder of the config file. As short as the config file's own path, for messages. */
  path(written: string): string {
    const plain = written.startsWith('file:') ? written.slice('file:'.length) : written;
    return resolve(dirname(this.#source.file), plain);
  }

  /** A rule file; a pack that ships, by the name it ships under, where the config's own folder has no such file. */
  rules(written: string): string {
    const own = this.path(written);
    const shipped = resolve(INSTALLATION, written);
    return !existsSync(own) && dirname(shipped) === join(INSTALLATION, 'rules') && existsSync(shipped)
      ? shipped
      : own;
  }

  /** The value itself, or what is in the file that `file:` names, without the blanks around it. */
  secret(path: Path, written: string): Secret {
    if (!written.startsWith('file:')) return new Secret(written);
    const text = this.#read(path, written).trim();
    if (text === '') this.failUnlessFailed(path, 'names a file: it is empty');
    return new Secret(text);
  }

  optionalSecret(path: Path, written: string | undefined): Secret | null {
    return written === undefined ? null : this.secret(path, written);
  }

  /** PEM text: written out (as through an environment variable), or in a file. */
  certificate(path: Path, written: string): string {
    const pem = this.#pem(path, written);
    if (pem !== '' && certificateOf(pem) === null)
      this.failUnlessFailed(path, 'is not a certificate in PEM form');
    return pem;
  }

  serverTls(path: Path, written: { readonly cert: string; readonly key: string }): ServerTls {
    const cert = this.certificate([...path, 'cert'], written.cert);
    const pem = this.#pem([...path, 'key'], written.key);
    const key = keyOf(pem);
    if (pem !== '' && key === null) {
      this.failUnlessFailed(
        [...path, 'key'],
        'is not a private key in PEM form (an encrypted one cannot be used)',
      );
    }
    if (key !== null && certificateOf(cert)?.checkPrivateKey(key) === false) {
      this.fail([...path, 'key'], 'does not belong to the certificate');
    }
    return { cert, key: new Secret(pem) };
  }

  /** Adds no second complaint about one value. */
  failUnlessFailed(path: Path, message: string): void {
    const { line, column } = this.#source.problem(path, '');
    if (!this.problems.some((known) => known.line === line && known.column === column))
      this.fail(path, message);
  }

  #pem(path: Path, written: string): string {
    return written.includes('-----BEGIN') ? written : this.#read(path, written);
  }

  #read(path: Path, written: string): string {
    try {
      return readFileSync(this.path(written), 'utf8');
    } catch (error) {
      // Without its name: that may be a secret that was meant to be the value, or come from the environment.
      this.fail(path, `names a file: ${fileFailure(error)}`);
      return '';
    }
  }
}

function certificateOf(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}

function keyOf(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem);
  } catch {
    return null;
  }
}
