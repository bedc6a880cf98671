import Foundation
import PithCore
import PithFormats

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// What a hub was asked about.
struct HubQuestion: Sendable {
    let address: RepositoryAddress
    /// A file of it; nil for the repository and its listing.
    var file: String?
}

/// Why a request failed, and whether the same may succeed later.
struct HubFailure {
    var error: PithError
    var isPassing = false
    /// Whether the repository is there, and the revision is not.
    var isUnknownRevision = false
    /// How long the hub asks to wait.
    var pause: Duration?
}

extension HubClient {
    /// What an answer that did not succeed means.
    func failure(_ answer: HTTPAnswer, _ url: URL, about question: HubQuestion) -> HubFailure {
        guard let head = answer.head else { return unreachable(answer.interruption, url) }
        guard !head.isSuccess else {
            return HubFailure(error: .fault("the connection was cut", at: shown(head.url)), isPassing: true)
        }
        switch head.status {
        case 401, 403, 404:
            return HubFailure(
                error: refusal(head, answer.complaint, question),
                isUnknownRevision: head["X-Error-Code"] == "RevisionNotFound")
        case 429, 503:
            let reason = head.status == 429 ? "too many requests, says the hub" : "the hub has no time"
            return HubFailure(
                error: .fault(reason, at: shown(head.url), remedy: "try again later"), isPassing: true,
                pause: head.retryAfter)
        case 408, 500..<600:
            return HubFailure(
                error: .fault(
                    "the hub fails with status \(head.status)", at: shown(head.url), remedy: "try again later"),
                isPassing: true, pause: head.retryAfter)
        default:
            let words = complaint(head, answer.complaint).map { ": " + $0 } ?? ""
            return HubFailure(error: .data("the hub answers with status \(head.status)\(words)", at: shown(head.url)))
        }
    }

    private func unreachable(_ reason: URLError?, _ url: URL) -> HubFailure {
        let remedy = "is there a network? HF_HUB_OFFLINE=1 takes what is in the cache"
        let (words, isPassing): (String, Bool) =
            switch reason?.code {
            case .timedOut: ("gives no answer within \(settings.transfer.timeout) s", true)
            case .cannotFindHost, .dnsLookupFailed: ("is not found", true)
            case .cannotConnectToHost: ("accepts no connection", true)
            case .secureConnectionFailed, .serverCertificateUntrusted, .serverCertificateHasBadDate,
                .serverCertificateHasUnknownRoot, .serverCertificateNotYetValid:
                ("does not prove who it is", false)
            default: ("cannot be reached", true)
            }
        return HubFailure(error: .fault(words, at: url.host ?? shown(url), remedy: remedy), isPassing: isPassing)
    }

    /// 401, 403 and 404.
    private func refusal(_ head: HTTPHead, _ body: [UInt8], _ question: HubQuestion) -> PithError {
        let repository = question.address.repository
        let page = "\(settings.endpoint)/\(repository)"
        let words = complaint(head, body)
        let code = head["X-Error-Code"]
        if code == "GatedRepo" || (head.status == 403 && words?.lowercased().contains("gated") == true) {
            return .data(
                "is gated: its owner asks who takes it", at: repository,
                remedy: "accept the licence at \(page), and put a token of that account in HF_TOKEN")
        }
        switch (head.status, code) {
        case (404, "RevisionNotFound"):
            return .data("has no revision '\(question.address.revision)'", at: repository)
        case (404, "EntryNotFound"), (404, nil):
            guard let file = question.file else { break }
            return .data("has no file '\(file)'", at: repository)
        case (403, _):
            return .data(
                "the hub refuses it" + (words.map { ": " + $0 } ?? ""), at: repository,
                remedy: "see \(page); a token in HF_TOKEN must have the right to read it")
        case (401, _) where settings.token != nil:
            return .data(
                "the hub does not take the token, or does not show this to it", at: repository,
                remedy: "check the name, or make a token at \(settings.endpoint)/settings/tokens and put it in HF_TOKEN"
            )
        default: break
        }
        return .data(
            "is not on the hub \(settings.endpoint), or is not public", at: repository,
            remedy: "check the name; what is private needs a token in HF_TOKEN")
    }

    /// What the hub says of an error, for people.
    private func complaint(_ head: HTTPHead, _ body: [UInt8]) -> String? {
        let text =
            head["X-Error-Message"]
            ?? (try? JSONValue(parsing: body)["error"].flatMap { error in
                if case .string(let text) = error { text } else { nil }
            })
        return text.map { String($0.prefix(200)).printable }
    }
}
