package push

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"
)

// Log is the sender for an installation without a Firebase project: every message is one log line. It renders as [FCM] does, so
// an alert that could not be sent is refused here too. Tokens appear only as a short hash.
type Log struct {
	logger *slog.Logger
	now    func() time.Time
}

// NewLog makes a sender that writes to logger.
func NewLog(logger *slog.Logger, now func() time.Time) *Log {
	return &Log{logger: logger, now: now}
}

// Send logs one line per target. See [Sender]. A message's ID is "log/" and the hash of its token.
func (l *Log) Send(ctx context.Context, a Alert, targets []Target) []Result {
	results := make([]Result, len(targets))
	r := newRendered(a, l.now())
	for i, t := range targets {
		if err := ctx.Err(); err != nil {
			results[i] = notSent(err)
			continue
		}
		results[i] = l.one(ctx, a, t, r.draft(t))
	}
	return results
}

func (l *Log) one(ctx context.Context, a Alert, t Target, d draft) Result {
	attrs := []slog.Attr{
		slog.String("warning_no", a.WarningNo), slog.Int("revision", a.Revision),
		slog.String("level", a.Level), slog.String("kind", a.Kind), slog.Bool("exercise", a.Exercise),
		slog.String("reason_code", a.ReasonCode), slog.String("alert_id", a.AlertID),
		slog.String("platform", t.Platform), slog.String("token_hash", hashToken(t.Token)),
	}
	if d.err != nil {
		l.logger.LogAttrs(ctx, slog.LevelWarn, "push not rendered", append(attrs, slog.Any("error", d.err))...)
		return Result{Outcome: InvalidPayload, Err: d.err}
	}
	l.logger.LogAttrs(ctx, slog.LevelInfo, "push", append(attrs, slog.String("title", d.message.Notification.Title))...)
	return Result{Outcome: Accepted, MessageID: "log/" + hashToken(t.Token)}
}

// hashToken names a token in a log without giving it away: a token has far too much entropy to be guessed from 32 bits.
func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:4])
}
