/** Options of every command that starts machines. */
export interface HostOptions {
  readonly accel: 'auto' | 'kvm' | 'tcg';
  readonly tools: 'private' | 'host';
  readonly yes: boolean;
}
