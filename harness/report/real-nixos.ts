import { isRealNixos, type RunRecord, type VariantRecord } from '../record/index.js';
import { countOf } from './words.js';

/**
 * What was installed, and how far that went on real NixOS: a report about something of NixOS's shape must not be taken for
 * more.
 */
export function describeGuests({ variants }: RunRecord): string {
  const guests = [...new Set(variants.map(({ guest }) => guest))].sort();
  const real = variants.filter(({ guest, verdict }) => isRealNixos(guest) && verdict !== 'skip');
  const names = `Guest: ${guests.join(', ')}.`;
  if (real.length === 0) return `${names} On real NixOS nothing was evaluated, installed or booted.`;
  const [evaluated, installed, booted] = [wasEvaluated, wasInstalled, wasBooted].map(
    (was) => real.filter(was).length,
  );
  return `${names} On real NixOS, of ${countOf(real.length, 'variant')}: ${String(evaluated)} evaluated and built, ${String(installed)} installed, ${String(booted)} booted.`;
}

/** Phases with a system that Nix has built. */
const MADE: ReadonlySet<string> = new Set(['make-system', 'make-image']);

function wasEvaluated({ checks, error, phases }: VariantRecord): boolean {
  const isRefused = checks.some(({ id }) => id === 'evaluates') || error?.code === 'NIX_FAILED';
  return !isRefused && phases.some(({ name }) => MADE.has(name));
}

/** The first boot is only tried when it was. */
function wasInstalled({ boots }: VariantRecord): boolean {
  return boots.length > 0;
}

function wasBooted({ checks }: VariantRecord): boolean {
  return checks.some(({ id, status }) => id === 'boots' && status === 'pass');
}
