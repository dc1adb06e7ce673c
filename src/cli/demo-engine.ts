// The process behind demo-database.ts: loads PGlite, fills the shop, listens, and lives as long as its parent does.
// Its front (demo-front.ts) shares the one session of the engine among connections.
import { createServer } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { DemoFront } from './demo-front.ts';
import { DEMO_SHOP } from './demo-shop.ts';

export interface EngineOptions {
  readonly host: string;
  readonly port: number;
}

export type EngineReport =
  | { readonly port: number }
  | { readonly error: string; readonly code: string | null };

const MAX_CONNECTIONS = 50;

function report(message: EngineReport): void {
  process.send?.(message);
}

// Ctrl-C in a terminal reaches us too, but our parent still needs us while it ends its sessions.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
process.once('disconnect', () => process.exit(0));

const options: EngineOptions = JSON.parse(process.argv[2] ?? '{}');
// The port first: that it is taken is known at once, the engine takes seconds.
// Who connects before the engine is there is sent away: nobody has been told the port yet.
let front: DemoFront | null = null;
const server = createServer((socket) => {
  if (front === null) socket.destroy();
  else front.accept(socket);
});
server.maxConnections = MAX_CONNECTIONS;
server.once('error', (error: NodeJS.ErrnoException) => {
  report({ error: error.message, code: error.code ?? null });
});
server.listen(options.port, options.host, () => {
  startEngine().then(
    (started) => {
      front = started;
      const address = server.address();
      if (address !== null && typeof address !== 'string') report({ port: address.port });
    },
    (error: unknown) => report({ error: error instanceof Error ? error.message : String(error), code: null }),
  );
});

async function startEngine(): Promise<DemoFront> {
  // V8's quick compiler only: the 9 MB of WASM start in half the time, and a demo does not run long enough to miss
  // the optimised code. Before PGlite is loaded, hence the import here.
  setFlagsFromString('--liftoff-only');
  const { PGlite } = await import('@electric-sql/pglite');
  const engine = await PGlite.create();
  await engine.exec(DEMO_SHOP);
  return DemoFront.over(engine);
}
