/**
 * Turns ONNX Runtime's telemetry off. From 1.30 on the engine counts sessions and devices on Linux and macOS too, keeps the counts in the user's
 * cache folder, and sends them to its makers. It reads a variable of the process when it is loaded; who wants telemetry has set it
 * to another value. A worker has a copy of the environment, which the engine does not see: so devices.ts calls this when it is loaded, which
 * in most programs the main thread does too, and not only engine.ts.
 */
export function disableTelemetry(): void {
  process.env["ORT_DISABLE_TELEMETRY"] ??= "1";
}
