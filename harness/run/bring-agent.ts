import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, HarnessError, repositoryRoot } from '../core/index.js';
import type { MachineKeys, Machine } from '../target/index.js';

/** The agent of the other guest; here it lies in memory, with its keys beside it. */
const AGENT_DIR = path.join(repositoryRoot, 'harness/guest/debian/overlay/agent/usr/lib/imperm');
const FOLDER = '/run/imperm-agent';

/** The medium has logged its user in. */
const USER_PROMPT = /nixos@[^\s:]+:[^\n]*\$ ?$/;
const LOGIN_OR_USER_PROMPT = new RegExp(`(?<login>\\blogin: ?$)|${USER_PROMPT.source}`);
const PASSWORD_OR_USER_PROMPT = new RegExp(`(?<password>Password: ?$)|${USER_PROMPT.source}`);
const ROOT_PROMPT = /root@[^\s:]+:[^\n]*# ?$/;
const READY = 'imperm-agent-is-there';

/**
 * Brings the agent into a medium that has none, by its serial console: NixOS's own media log their user in there, and that
 * user may do everything. Whoever installs by hand types no more than this.
 *
 * @param password Of the medium's user, when it asks for one.
 */
export async function bringAgent(
  machine: Machine,
  keys: MachineKeys,
  options: { readonly password: string; readonly budget: Budget },
): Promise<void> {
  const { budget } = options;
  const part = budget.part("the medium's console to take commands", budget.remainingMs, {
    lastSeen: () => machine.console.tail(),
  });
  const waitFor = await becomeRoot(machine, { ...options, budget: part });
  const script = await renderAgentScript(keys);
  machine.console.type(`base64 --decode <<'END' | bash\n${inLines(script)}\nEND\n`);
  const { groups } = await waitFor(new RegExp(`${READY}|(?<failed>imperm-agent: [^\\n]*)\\n`));
  if (groups?.['failed'] !== undefined)
    throw new HarnessError('INSTALL_FAILED', `The medium lacks something: ${groups['failed']}`, {
      details: machine.console.tail(),
    });
}

/**
 * Logs in on the console of a medium as it asks for it.
 *
 * @returns Waits for the first match behind the last one.
 */
export async function becomeRoot(
  machine: Pick<Machine, 'console' | 'until'>,
  { password, budget }: { readonly password: string; readonly budget: Budget },
): Promise<(pattern: RegExp) => Promise<RegExpExecArray>> {
  let position = 0;
  const waitFor = async (pattern: RegExp): Promise<RegExpExecArray> => {
    const { match, end } = await machine.until(machine.console.waitFor(pattern, budget, position), budget);
    position = end;
    return match;
  };
  if ((await waitFor(LOGIN_OR_USER_PROMPT)).groups?.['login'] !== undefined) {
    // Whoever logs in by itself says so after the same words: then nobody asks for a password, and the name is a command
    // that there is not.
    machine.console.type('nixos\n');
    if ((await waitFor(PASSWORD_OR_USER_PROMPT)).groups?.['password'] !== undefined) {
      machine.console.type(`${password}\n`);
      await waitFor(USER_PROMPT);
    }
  }
  machine.console.type('sudo -i\n');
  await waitFor(ROOT_PROMPT);
  // What is typed from here on may hold a secret: it is not to be seen on the console.
  machine.console.type('stty -echo\n');
  await waitFor(ROOT_PROMPT);
  return waitFor;
}

/** As base64, in lines that a terminal takes whole. */
function inLines(text: string): string {
  return (
    Buffer.from(text)
      .toString('base64')
      .match(/.{1,512}/g) ?? []
  ).join('\n');
}

async function renderAgentScript(keys: MachineKeys): Promise<string> {
  const credentials = '/run/credentials/@system/imperm.';
  const configuration = (await readFile(path.join(AGENT_DIR, 'sshd_config'), 'utf8')).replaceAll(
    credentials,
    `${FOLDER}/`,
  );
  const agent = (await readFile(path.join(AGENT_DIR, 'agent'), 'utf8'))
    .replaceAll('/usr/lib/imperm/sshd_config', `${FOLDER}/sshd_config`)
    .replaceAll('/usr/sbin/sshd', '"$SSHD"');
  const files = {
    'host-key': keys.hostPrivate,
    'authorized-keys': `${keys.clientPublic}\n`,
    sshd_config: configuration,
    agent: agent.replace(/^#!.*\n/, ''),
  };
  return `fail() { echo "imperm-agent: $*"; exit 1; }
umask 077
mkdir -p ${FOLDER}
${Object.entries(files)
  .map(([name, text]) => `base64 --decode >${FOLDER}/${name} <<'END'\n${inLines(text)}\nEND`)
  .join('\n')}
# Whoever logs in without a login shell is told of no program otherwise.
echo "SetEnv PATH=$PATH" >>${FOLDER}/sshd_config
modprobe virtio_console 2>/dev/null
port=/dev/virtio-ports/imperm.agent
[ -e "$port" ] || udevadm wait --timeout=60 "$port" || fail "there is no $port"
SSHD=$(readlink -f "$(command -v sshd)") || fail 'there is no sshd'
export SSHD
mkdir -p /run/sshd
chmod 0755 /run/sshd
systemd-run --quiet --collect --unit=imperm-brought-agent --property=Restart=always --property=RestartSec=50ms \\
  --property=SendSIGHUP=yes --property=StandardInput=file:"$port" --property=StandardOutput=file:"$port" \\
  --setenv=SSHD --setenv=PATH "$(command -v bash)" ${FOLDER}/agent || fail 'systemd does not start it'
echo imperm-agent-is-''there
`;
}
