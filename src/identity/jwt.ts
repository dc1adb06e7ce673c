// A JWT in place of a password: verified against the issuers that the operator trusts (RFC 7519, RFC 8725).
// Signature and times here, with jose; the keys in issuer-keys.ts; what the claims mean in claims.ts.
import { decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose';
import type { Clock } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';
import type { AgentIdentity, Databases } from './agent-identity.ts';
import { ClaimError, identityFromClaims } from './claims.ts';
import { IssuerKeys, KeysUnavailable } from './issuer-keys.ts';

/** Longer tokens are refused unread. A PasswordMessage must be allowed this much. */
export const MAX_TOKEN_BYTES = 60 * 1024;

// Asymmetric only: with HS* the public key would be the secret, and `none` is none.
const ALGORITHMS = [
  'RS256',
  'PS256',
  'ES256',
  'EdDSA',
  'Ed25519',
  'RS384',
  'RS512',
  'PS384',
  'PS512',
  'ES384',
  'ES512',
];
const DEFAULT_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'];
// RFC 8725 section 3.11: a token made for another purpose by the same issuer says so here.
const TYPES = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt']);

const DEFAULT_MAX_LIFETIME_MS = 2 * 60 * 60_000;
const CLOCK_TOLERANCE_S = 10;

export interface IssuerOptions {
  /** Exactly as in the tokens' `iss`. */
  readonly issuer: string;
  /** A token must be meant for one of these. */
  readonly audience: string | readonly string[];
  /** Where its keys are: https, or http on loopback. */
  readonly jwks: string;
  readonly algorithms?: readonly string[];
  /** What its tokens are good for at most; all databases by default. A token's own claim narrows it. */
  readonly databases?: Databases;
  /** Names of claims; `groups` and `databases` by default. */
  readonly groupsClaim?: string;
  readonly databasesClaim?: string;
  /** Longest `exp` - `iat` that is taken for short-lived; two hours by default. */
  readonly maxLifetimeMs?: number;
  /** How long keys are believed while the issuer is out of reach; a day by default. */
  readonly staleLimitMs?: number;
}

export type TokenRefusal =
  | 'oversize'
  | 'malformed'
  | 'unknown_issuer'
  | 'algorithm'
  | 'unknown_key'
  | 'keys_unavailable'
  | 'signature'
  | 'audience'
  | 'expired'
  | 'not_yet_valid'
  | 'claims'
  | 'name_taken';

export type TokenVerdict =
  | { readonly ok: true; readonly identity: AgentIdentity }
  /** `because` is for the log: it holds nothing of the token, and is not for the client. */
  | { readonly ok: false; readonly refusal: TokenRefusal; readonly because: string };

interface Issuer {
  readonly options: IssuerOptions;
  readonly algorithms: readonly string[];
  readonly keys: IssuerKeys;
}

export class Issuers {
  readonly #byName: ReadonlyMap<string, Issuer>;
  readonly #clock: Clock;

  private constructor(byName: ReadonlyMap<string, Issuer>, clock: Clock) {
    this.#byName = byName;
    this.#clock = clock;
  }

  /** Throws CountersignError `config`. */
  static fromOptions(options: readonly IssuerOptions[], clock: Clock): Issuers {
    const byName = new Map<string, Issuer>();
    for (const issuer of options) {
      const algorithms = issuer.algorithms ?? DEFAULT_ALGORITHMS;
      const strange = algorithms.find((name) => !ALGORITHMS.includes(name));
      if (strange !== undefined || algorithms.length === 0) {
        throw new CountersignError(
          'config',
          `issuer ${issuer.issuer}: algorithm "${strange ?? ''}" cannot be used`,
          {
            hint: `Any of ${ALGORITHMS.join(', ')}.`,
          },
        );
      }
      if (issuer.issuer === '' || issuer.audience.length === 0) {
        throw new CountersignError('config', 'an issuer needs its name and an audience');
      }
      if (byName.has(issuer.issuer))
        throw new CountersignError('config', `issuer ${issuer.issuer} is there twice`);
      const keys = new IssuerKeys(issuer.jwks, clock, issuer.staleLimitMs);
      byName.set(issuer.issuer, { options: issuer, algorithms, keys });
    }
    return new Issuers(byName, clock);
  }

  async verify(token: string): Promise<TokenVerdict> {
    if (Buffer.byteLength(token, 'utf8') > MAX_TOKEN_BYTES) return refusedAs('oversize');
    // Unverified, and used for nothing but to choose whose keys to verify with.
    const issuer = this.#byName.get(claimedIssuer(token) ?? '');
    if (issuer === undefined) return refusedAs('unknown_issuer');
    try {
      return { ok: true, identity: await this.#identify(token, issuer) };
    } catch (error) {
      return refusalFor(error);
    }
  }

  async #identify(token: string, { options, algorithms, keys }: Issuer): Promise<AgentIdentity> {
    const maxLifetimeS = (options.maxLifetimeMs ?? DEFAULT_MAX_LIFETIME_MS) / 1000;
    const { payload, protectedHeader } = await jwtVerify(token, (header, jws) => keys.keyFor(header, jws), {
      issuer: options.issuer,
      audience: typeof options.audience === 'string' ? options.audience : [...options.audience],
      algorithms: [...algorithms],
      requiredClaims: ['sub', 'exp', 'iat'],
      maxTokenAge: maxLifetimeS,
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: new Date(this.#clock.nowMs()),
    });
    if (protectedHeader.typ !== undefined && !TYPES.has(protectedHeader.typ.toLowerCase())) {
      throw new ClaimError('the token was made for another purpose, by its "typ"');
    }
    const claims = payload as JWTPayload & { iss: string; exp: number; iat: number };
    if (claims.exp - claims.iat > maxLifetimeS)
      throw new ClaimError('the token lives longer than is allowed');
    const names = {
      groups: options.groupsClaim ?? 'groups',
      databases: options.databasesClaim ?? 'databases',
    };
    return identityFromClaims(claims, names, options.databases ?? '*');
  }
}

function claimedIssuer(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

const TEXTS = {
  oversize: 'the token is too long',
  malformed: 'not a token',
  unknown_issuer: 'not a token, or its issuer is not configured',
  algorithm: 'the signature algorithm is not allowed',
  unknown_key: 'the issuer has no such key, or several that fit',
  keys_unavailable: "the issuer's keys cannot be had",
  signature: 'the signature is wrong',
  audience: 'the token is meant for somebody else',
  expired: 'the token has expired',
  not_yet_valid: 'the token is not valid yet',
  claims: 'a claim is missing or not as it must be',
  name_taken: 'the name is taken',
} as const satisfies Record<TokenRefusal, string>;

const REFUSAL_BY_CODE: Readonly<Record<string, TokenRefusal>> = {
  ERR_JOSE_ALG_NOT_ALLOWED: 'algorithm',
  ERR_JOSE_NOT_SUPPORTED: 'algorithm',
  ERR_JWS_INVALID: 'malformed',
  ERR_JWT_INVALID: 'malformed',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'signature',
  ERR_JWKS_NO_MATCHING_KEY: 'unknown_key',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'unknown_key',
  ERR_JWKS_INVALID: 'keys_unavailable',
  ERR_JWT_EXPIRED: 'expired',
  ERR_JWT_CLAIM_VALIDATION_FAILED: 'claims',
};

function refusalFor(error: unknown): TokenVerdict {
  if (error instanceof KeysUnavailable) return refusedAs('keys_unavailable');
  if (error instanceof ClaimError) return refusedAs('claims', error.message);
  if (error instanceof errors.JWTClaimValidationFailed && error.reason === 'check_failed') {
    if (error.claim === 'aud') return refusedAs('audience');
    if (error.claim === 'nbf' || error.claim === 'iat') return refusedAs('not_yet_valid');
  }
  // Whatever else may go wrong with hostile input, it is a refusal.
  const code = error instanceof errors.JOSEError ? error.code : '';
  return refusedAs(REFUSAL_BY_CODE[code] ?? 'malformed');
}

function refusedAs(refusal: TokenRefusal, because: string = TEXTS[refusal]): TokenVerdict {
  return { ok: false, refusal, because };
}
