/**
 * The port at which a confined task finds its proxy on its own loopback. Nobody else is there, so it can
 * be the same for all; beyond the range that Linux hands out by itself (32768–60999).
 */
export const CONFINED_PROXY_PORT = 61128
