// Package probe measures a model while it is trained and keeps the figures:
// as JSON Lines, and as event files that TensorBoard shows.
//
// A [Monitor] is attached to a training by two callbacks:
//
//	monitor, err := probe.NewMonitor(ctx, model, probe.Options{Dir: dir, Store: store, Heldout: heldout})
//	defer monitor.Close()
//	options.OnStep, options.OnIndex = monitor.OnStep, monitor.OnIndex
//	stats, err := marge.Pretrain(ctx, model, store, options)
//
// It never changes the training: measuring takes no random numbers from it and
// runs the model without dropout.
package probe
