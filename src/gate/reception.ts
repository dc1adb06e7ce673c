// From the StartupMessage to someone we know: who the agent is, which database it may use, and whether the settings that it
// brings along are such as it could SET by itself.
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Identity } from '../audit/record.ts';
import { CountersignError } from '../base/errors.ts';
import { type AgentIdentity, mayUse } from '../identity/agent-identity.ts';
import type { Agents } from '../identity/agents.ts';
import type { FailedLogins } from '../identity/throttle.ts';
import { settingFacts } from '../sql/settings.ts';
import { encodeNegotiateProtocolVersion } from '../wire/backend.ts';
import { protocolVersion, spokenMinor } from '../wire/startup.ts';
import type { UnchangingVariables } from './following.ts';
import { logIn } from './login.ts';
import type { Startup } from './negotiation.ts';
import type { Node } from './node.ts';
import { type Plaintext, requireTls } from './plaintext.ts';
import { readStartup, type StartupRequest } from './startup-settings.ts';
import type { DatabaseTarget } from './upstream.ts';

export interface ReceptionOptions {
  readonly node: Node;
  readonly agents: Agents;
  readonly failures: FailedLogins;
  readonly databases: ReadonlyMap<string, DatabaseTarget>;
  readonly plaintext: Plaintext;
}

/** A client that has proved who it is and may use what it asks for. */
export interface Guest {
  readonly request: StartupRequest;
  readonly target: DatabaseTarget;
  readonly who: Identity;
  /** Everyone who stands behind the agent. */
  readonly requesters: readonly string[];
  readonly variables: UnchangingVariables;
  /** Of the protocol that is spoken with it, 3.`minor`. */
  readonly minor: number;
}

/** Rejects with CountersignError, whose text may be told to the client. */
export async function receive(socket: Socket, startup: Startup, options: ReceptionOptions): Promise<Guest> {
  const { agents, failures, databases, node, plaintext } = options;
  const request = readStartup(startup.parameters);
  const minor = spokenMinor(startup.minor);
  if (startup.minor > minor || request.unknownOptions.length > 0) {
    socket.write(encodeNegotiateProtocolVersion(protocolVersion(minor), request.unknownOptions));
  }
  const address = socket.remoteAddress ?? 'unknown';
  const { user, database } = request;
  const onFailure = (because: string): void => {
    node.log.append({ type: 'login.failed', clientAddress: address, user, database, because });
  };
  if (failures.isBlocked(address)) {
    onFailure('too many failed logins from this address');
    throw new CountersignError('too_many_connections', 'too many failed logins; try again later');
  }
  const encrypted = socket instanceof TLSSocket;
  if (!encrypted) requireTls(plaintext, address);
  const identity = await logIn(socket, user, { agents, failures, address, encrypted, onFailure });
  const target = databases.get(database);
  if (target === undefined || !mayUse(identity, database)) {
    onFailure(target === undefined ? 'unknown database' : 'database not allowed');
    // One text for both: an agent learns of no database that is not its own.
    throw new CountersignError('unknown_database', `database "${database}" does not exist`);
  }
  const variables = variablesOf(identity, request, target, address, encrypted);
  judgeSettings(request, variables, node, onFailure);
  const { requesters } = identity;
  return { request, target, who: whoIs(identity, variables), requesters, variables, minor };
}

function judgeSettings(
  request: StartupRequest,
  variables: UnchangingVariables,
  node: Node,
  onFailure: (because: string) => void,
): void {
  const rules = node.rules();
  for (const [name, value] of request.settings) {
    const verdict = rules.judge(settingFacts(name, value), { ...variables, inTransaction: false });
    if (verdict.action === 'allow') continue;
    onFailure(`startup setting ${name}: rule ${verdict.rule}`);
    throw new CountersignError(
      'denied',
      `setting "${name}" at connection start is refused by rule "${verdict.rule}"`,
      { hint: 'Connect without it and SET it in the session, where a person can be asked.' },
    );
  }
}

function variablesOf(
  { agent, owner, onBehalfOf, groups, claims }: AgentIdentity,
  { database, applicationName, purpose, maxWaitMs }: StartupRequest,
  target: DatabaseTarget,
  clientAddress: string,
  tls: boolean,
): UnchangingVariables {
  return {
    agent,
    owner,
    onBehalfOf,
    groups,
    claims,
    database,
    role: target.user,
    clientAddress,
    tls,
    claimed: { applicationName, purpose },
    maxWaitMs,
  };
}

function whoIs(identity: AgentIdentity, { clientAddress, database, role }: UnchangingVariables): Identity {
  const { agent, owner, onBehalfOf, authenticatedBy } = identity;
  return { agent, owner, onBehalfOf, authenticatedBy, clientAddress, database, role };
}
