package privacy

// The laws, as they are cited. PIPL is the Personal Information Protection Law of 20 August 2021; the complaint rules are order 20 of the
// State Administration for Market Regulation, amended by its orders 55 and 61 of 2022.
const (
	consent = "《个人信息保护法》第十三条第一款第一项（同意）"
	duty    = "《个人信息保护法》第十三条第一款第三项（履行法定职责）"
	filing  = duty + "；《市场监督管理投诉举报处理暂行办法》第九条（投诉应当提供的内容）"
)

// The rules of retention. The law sets no fixed time for any of them: PIPL article 19 asks for the shortest time that the purpose needs, and
// article 47 for erasure when it is over or consent is withdrawn.
var (
	// CaseClosed keeps a case while the dispute that it was about can still be brought before a court.
	CaseClosed = Rule{
		Code: "case_closed", Start: "the case was closed", Months: 36,
		Basis: "《个人信息保护法》第十九条、第四十七条第一款第二项；《民法典》第一百八十八条（三年诉讼时效）",
	}
	// DeviceUnused keeps a device while its household may still have what it was used for: goods are sold with up to two years to run.
	DeviceUnused = Rule{
		Code: "device_unused", Start: "the device was last used", Months: 24,
		Basis: "《个人信息保护法》第十九条、第四十七条第一款第一项（处理目的无法实现或者不再必要）",
	}
	// RetryWindow keeps what recognises a repeated request.
	RetryWindow = Rule{Code: "retry_window", Doc: "7 days", Basis: "《个人信息保护法》第十九条"}
	// SessionTerm keeps a session until it ends.
	SessionTerm = Rule{Code: "session_term", Doc: "until the session ends, 12 hours at most", Basis: "《个人信息保护法》第十九条"}
	// AttemptWindow keeps the count of wrong log-ins.
	AttemptWindow = Rule{Code: "attempt_window", Doc: "15 minutes", Basis: "《个人信息保护法》第十九条"}
	// RateWindow keeps the counts of rate limits.
	RateWindow = Rule{Code: "rate_window", Doc: "10 seconds", Basis: "《个人信息保护法》第十九条"}
	// AuditAddress keeps the addresses of a month in the audit trail: network logs are to be kept for six months at least.
	AuditAddress = Rule{Code: "audit_address", Start: "the end of the month", Months: 6, Basis: "《网络安全法》第二十一条第三项；《个人信息保护法》第十九条"}
	// LinkTerm keeps a one-time link.
	LinkTerm = Rule{Code: "link_term", Doc: "until the link is used or over, 7 days at most", Basis: "《个人信息保护法》第十九条"}
	// UnitHistory keeps scans, which are de-identified: who scanned cannot be followed from one code to another.
	UnitHistory = Rule{Code: "unit_history", Doc: "as long as the unit's history, of which it is a count", Basis: "《个人信息保护法》第十九条、第五十一条第三项（去标识化）"}
	// OfficialAct keeps who acted for as long as the act.
	OfficialAct = Rule{Code: "official_act", Doc: "as long as the official act", Basis: "《个人信息保护法》第十九条、第三十四条"}
	// InOffice keeps an operator's account.
	InOffice = Rule{Code: "in_office", Doc: "as long as the operator's account", Basis: "《个人信息保护法》第十九条、第三十四条"}
)

// Rules are all rules, for the table.
var Rules = []*Rule{&CaseClosed, &DeviceUnused, &RetryWindow, &SessionTerm, &AttemptWindow, &RateWindow, &AuditAddress, &LinkTerm, &UnitHistory, &OfficialAct, &InOffice}

// Fields is the map: all personal data that is stored, and how. What is not here is not to be stored: Seal refuses it, and a
// test walks the types of all stored documents.
var Fields = []Field{
	{"cases", "texts.name", "case", "the filer's name", "a complaint is filed under a name", filing, &CaseClosed, Encrypted},
	{"cases", "texts.phone", "case", "the filer's phone number", "reaching the filer", filing, &CaseClosed, Encrypted},
	{"cases", "texts.email", "case", "the filer's e-mail address", "reaching the filer", filing, &CaseClosed, Encrypted},
	{"cases", "texts.seller", "case", "who sold the goods, as the filer wrote", "handling the dispute", filing, &CaseClosed, Encrypted},
	{"cases", "texts.what", "case", "what is wrong, as the filer wrote", "handling the dispute", filing, &CaseClosed, Encrypted},
	{"cases", "texts.where", "case", "where it was bought, as the filer wrote", "handling the dispute", filing, &CaseClosed, Encrypted},
	{"cases", "texts.when", "case", "when it was bought, as the filer wrote", "handling the dispute", filing, &CaseClosed, Encrypted},
	{"cases", "texts.asked", "case", "what the filer asks for", "handling the dispute", filing, &CaseClosed, Encrypted},
	{"cases", "steps.note", "case", "what the authority answered", "telling the filer", duty, &CaseClosed, Encrypted},
	{"cases", "steps.by", "", "login of the officer who took the step", "accountability", duty, &OfficialAct, Official},
	{"cases", "serial", "", "which single unit it is about", "handling the dispute", filing, &CaseClosed, Pseudonym},
	{"cases", "secret", "", "the receipt's secret", "knowing the filer again", duty, &CaseClosed, Hashed},
	{"cases", "claim", "", "the phone's key for repeating a request", "filing once", duty, &CaseClosed, Hashed},
	{"case_claims", ID, "", "the phone's key for repeating a request", "filing once", duty, &RetryWindow, Hashed},
	{"case_claims", "digest", "", "what was filed", "telling a repetition from another complaint", duty, &RetryWindow, Hashed},

	{"devices", ID, "", "random identifier of an installation of the app", "knowing it again", consent, &DeviceUnused, Pseudonym},
	{"devices", "hash", "", "the device's token", "knowing it again", consent, &DeviceUnused, Hashed},
	{"devices", "platform", "", "kind of phone", "the form of messages", consent, &DeviceUnused, Pseudonym},
	{"devices", "lang", "", "language", "the language of messages", consent, &DeviceUnused, Pseudonym},
	{"devices", "city", "", "city", "the place of a scan", consent, &DeviceUnused, Coarse},
	{"devices", "subscriptions", "", "what it asked to be warned of", "warning it", consent, &DeviceUnused, Pseudonym},
	{"devices", "seen", "", "the month in which it was last used", "erasing it when it is out of use", consent, &DeviceUnused, Coarse},
	{"devices", "push_token", "device", "where push messages go", "warning it", consent, &DeviceUnused, Encrypted},
	{"devices", "push_hash", "", "the same, for look-ups", "one push message for a phone", consent, &DeviceUnused, Hashed},
	{"push_tokens", ID, "", "where push messages go, for look-ups", "one push message for a phone", consent, &DeviceUnused, Hashed},
	{"push_tokens", "device", "", "whose it is", "one push message for a phone", consent, &DeviceUnused, Pseudonym},
	{"holdings", "device", "", "that the device's household has certain goods", "warning it", consent, &DeviceUnused, Pseudonym},
	{"exposures", "device", "", "that the device scanned certain goods", "warning it", consent, &DeviceUnused, Pseudonym},
	{"deliveries", "deliveries.device", "", "that the device was told of a warning", "telling it when the warning changes or ends", consent, &DeviceUnused, Pseudonym},
	{"deliveries", "deliveries.reasons", "", "why it was told", "telling it why", consent, &DeviceUnused, Pseudonym},
	{"scans", "v", "", "who scanned, within one code", "telling one shopper from many", duty, &UnitHistory, Hashed},
	{"scans", "p", "", "shop or city of a scan", "finding copied codes", duty, &UnitHistory, Coarse},
	{"anomalies", "places", "", "shops and cities of the scans of a code that looks copied", "finding copied codes", duty, &UnitHistory, Coarse},

	{"operators", ID, "", "an operator's login", "access", duty, &InOffice, Official},
	{"operators", "name", "", "an operator's name", "accountability", duty, &InOffice, Official},
	{"operators", "password", "", "an operator's password", "access", duty, &InOffice, Hashed},
	{"operators", "totp", "operator", "secret of an operator's one-time codes", "access", duty, &InOffice, Encrypted},
	{"operators", "recovery", "", "an operator's recovery codes", "access", duty, &InOffice, Hashed},
	{"operators", "identities", "", "an operator's identity at an identity provider", "access", duty, &InOffice, Hashed},
	{"operators", "proposed", "", "which administrators made an operator a publisher or administrator", "having another one confirm it", duty, &InOffice, Official},
	{"operators", "last_login", "", "when an operator last logged in", "finding accounts that nobody uses", duty, &InOffice, Official},
	{"access_state", "leaving.login", "", "logins of administrators who are about to be none", "access", duty, &InOffice, Official},
	{"access_state", "logins", "", "logins of administrators", "access", duty, &InOffice, Official},
	{"sessions", ID, "", "token of a session", "access", duty, &SessionTerm, Hashed},
	{"sessions", "login", "", "whose session it is", "access", duty, &SessionTerm, Official},
	{"sessions", "agent", "", "kind of browser or tool", "showing an operator what is logged in", duty, &SessionTerm, Official},
	{"sessions", "network", "", "the network that it came from, an IPv4 /24 or IPv6 /48", "showing an operator what is logged in", duty, &SessionTerm, Coarse},
	{"login_attempts", ID, "", "login and network of wrong log-ins", "bounding guesses", duty, &AttemptWindow, Hashed},
	{"rate_counts", "windows.granted", "", "which addresses, keys and devices asked how often", "sharing rate limits between replicas", duty, &RateWindow, Hashed},
	{"links", ID, "", "token of a one-time link", "access", duty, &LinkTerm, Hashed},
	{"links", "login", "", "whose link it is", "access", duty, &LinkTerm, Official},
	{"links", "by", "", "login of the operator who gave it", "accountability", duty, &LinkTerm, Official},
	{"links", "first.name", "", "name of the first administrator", "access", duty, &LinkTerm, Official},
	{"links", "password", "", "the password of an enrolment", "access", duty, &LinkTerm, Hashed},
	{"links", "recovery", "", "the first operator's recovery codes", "access", duty, &LinkTerm, Hashed},
	{"links", "totp", "operator", "secret of an operator's one-time codes", "access", duty, &LinkTerm, Encrypted},
	{"seller_keys", "created_by", "", "login of the operator who gave a key", "accountability", duty, &OfficialAct, Official},
	{"seller_keys", "ended_by", "", "login of the operator who ended a key", "accountability", duty, &OfficialAct, Official},
	{"approvals", "by", "", "login of the officer who asks", "accountability", duty, &OfficialAct, Official},
	{"approvals", "by_name", "", "name of the officer who asks", "accountability", duty, &OfficialAct, Official},
	{"approvals", "decided_by", "", "login of the officer who decided", "accountability", duty, &OfficialAct, Official},
	{"approvals", "decided_name", "", "name of the officer who decided", "accountability", duty, &OfficialAct, Official},
	{"documents", "decision.by", "", "login of the officer who verified or refused a document", "accountability", duty, &OfficialAct, Official},
	{"audit_batches", "entries.entry.from", "audit", "the network address that somebody acted from", "accountability", duty, &AuditAddress, Encrypted},
	{"audit_batches", "entries.entry.actor", "", "login of the operator who acted", "accountability", duty, &OfficialAct, Official},
	{"warning_drafts", "by", "", "login of the officer who changed it", "accountability", duty, &OfficialAct, Official},
	{"warning_drafts", "by_name", "", "name of the officer who changed it", "accountability", duty, &OfficialAct, Official},
	{"warning_drafts", "seal.by", "", "login of the officer who publishes", "accountability", duty, &OfficialAct, Official},
	{"warning_drafts", "seal.by_name", "", "name of the officer who publishes", "accountability", duty, &OfficialAct, Official},
	{"warning_messages", "by", "", "login of the officer who published", "accountability", duty, &OfficialAct, Official},
	{"warning_messages", "approved_by", "", "login of the officer who approved", "accountability", duty, &OfficialAct, Official},
	{"warning_messages", "by_name", "", "name of the officer who published", "accountability", duty, &OfficialAct, Official},
	{"serious_violations", "by", "", "login of the officer who published", "accountability", duty, &OfficialAct, Official},
	{"serious_violations", "by_name", "", "name of the officer who published", "accountability", duty, &OfficialAct, Official},
}

// Impersonal lists the collections that hold no personal data, and why: a collection is in the map or here.
var Impersonal = []struct{ Collection, Why string }{
	{"alert_marks", "how far feeds were read"},
	{"authorities", "public bodies and what they are competent for"},
	{"captures", "jobs of firms"},
	{"capture_plans", "which events a large capture of a firm has"},
	{"case_attempts", "counts of wrong secrets by receipt number"},
	{"code_batches", "codes that firms issued together"},
	{"cold_bindings", "what loggers were with"},
	{"cold_excursions", "when goods were too warm, cold or wet"},
	{"cold_followers", "how far feeds were read"},
	{"cold_limits", "what products bear"},
	{"cold_records", "what loggers say of goods"},
	{"cold_windows", "what loggers measured"},
	{Collection, "wrapped keys by record, and that a record was erased"},
	{"demo", "what the demonstration loaded"},
	{"epcis_raw", "trace events of firms as they were sent"},
	{"event_values", "which steps, places and dispositions firms' events name"},
	{"events", "trace events of firms"},
	{"firms", "firms and authorities"},
	{"foreign_codes", "codes of other schemes"},
	{"import_files", "whose import a file is of"},
	{"import_problems", "what is wrong with cells of firms' spreadsheets about goods"},
	{"jobs", "background work of firms and authorities"},
	{"label_prints", "which key printed which labels, and why again"},
	{"leases", "which process does what"},
	{"ledger_batches", "salted hashes of documents, and their IDs"},
	{"ledger_holders", "which checkpoints were sent where"},
	{"ledger_leaves", "where documents stand in the log"},
	{"ledger_state", "the newest checkpoint"},
	{"ledger_tiles", "hashes"},
	{"link_sets", "what firms link from goods"},
	{"lot_flows", "trace events of firms, by lot"},
	{"lots", "lots of goods"},
	{"notices", "notices of foreign authorities"},
	{"places", "plants, ports, shops"},
	{"products", "goods"},
	{"search_marks", "how far feeds were read"},
	{"serious_violation_claims", "the numbers of listings by a hash of their decisions"},
	{"trace_followers", "how far feeds were read"},
	{"units", "codes of single units"},
	{"warning_marks", "how far feeds were read"},
	{"warnings", "what lists show of published warnings"},
}
