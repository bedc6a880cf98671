import Foundation
import PithCore
import PithTestSupport
import Testing

/// What `pith zip` and `pith unzip` do with what stands around them.
@Suite(.serialized)
struct ZipCommandTests {
    @Test(arguments: [SIGTERM, SIGHUP, SIGINT, SIGXCPU])
    func signalsLeaveNothing(signal: Int32) throws {
        try TestData.withTemporaryFolder { folder in
            // Text that the slow level is busy with for many seconds.
            let text = (0..<200_000).map { "\($0 &* 7919 % 1_000_003) " }.joined()
            try AtomicFile.write(text, to: joinPath(folder, "text"))
            let ending = try Program.run(["zip", "text", "--quiet"], in: folder) { process in
                // It has begun to write when its unfinished file is there.
                for _ in 0..<2000 where try unfinished(folder).isEmpty && process.isRunning { usleep(10_000) }
                #expect(try !unfinished(folder).isEmpty)
                kill(process.processIdentifier, signal)
            }
            #expect(ending.isSignal && ending.status == signal)
            #expect(try Files.names(in: folder) == ["text"])
        }
    }

    private func unfinished(_ folder: String) throws -> [String] {
        try Files.names(in: folder).filter { $0.hasSuffix(".part") }
    }

    @Test func filesThatGrowTooLargeLeaveNothing() throws {
        try TestData.withTemporaryFolder { folder in
            try AtomicFile.write(
                (0..<400_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 11) }, to: joinPath(folder, "data")
            )
            let ending = try Program.shell("ulimit -f 8; pith zip data --method store -o small; echo $?", in: folder)
            #expect(ending.output == "70\n")
            #expect(try Files.names(in: folder) == ["data"])
        }
    }

    @Test func whatIsWrittenIsNothingElse() throws {
        try TestData.withTemporaryFolder { folder in
            try AtomicFile.write("one two three", to: joinPath(folder, "f"))
            try Files.makeFolder(joinPath(folder, "in"))
            for arguments in [
                ["zip", "f", "-o", "x", "--report", "x"], ["zip", "f", "-o", "x", "--report", "f"],
                ["zip", "f", "-o", "x", "--report", "in/../f"],
                ["compare", "nano", "rtn", "--report", "x", "--picture", "x"],
                ["compare", "nano", "rtn", "--report", "missing/x"],
            ] {
                let ending = try Program.run(arguments, in: folder)
                #expect([64, 70].contains(ending.status), "\(arguments): \(ending.errors)")
                #expect(try Files.names(in: folder) == ["f", "in"])
                #expect(try Files.text(joinPath(folder, "f")) == "one two three")
            }
        }
    }

    @Test func pipesAndDevicesAreNoFiles() throws {
        try TestData.withTemporaryFolder { folder in
            #expect(mkfifo(joinPath(folder, "fifo"), 0o600) == 0)
            for command in [["zip", "fifo"], ["unzip", "fifo"], ["zip", "/dev/zero", "-o", "x"]] {
                let ending = try Program.run(command, in: folder)
                #expect(ending.status == 65 && ending.errors.contains("not a file"), "\(command): \(ending.errors)")
            }
            try Files.makeFolder(joinPath(folder, "in"))
            try AtomicFile.write("x", to: joinPath(folder, "in/x"))
            #expect(mkfifo(joinPath(folder, "in/pipe"), 0o600) == 0)
            let ending = try Program.run(["zip", "in", "--level", "fast"], in: folder)
            #expect(ending.status == 1 && ending.errors.contains("in/pipe: left out"))
            #expect(try Program.run(["unzip", "in.pith", "-o", "out"], in: folder).status == 0)
            #expect(try Files.names(in: joinPath(folder, "out/in")) == ["x"])
        }
    }

    @Test func archivesGoWhereTheyAreSent() throws {
        try TestData.withTemporaryFolder { folder in
            try AtomicFile.write("one two three", to: joinPath(folder, "f"))
            let line = """
                pith zip f --level fast -o /dev/null --force && [ -c /dev/null ] && echo discarded
                pith zip f --level fast -o /dev/stdout 2> /dev/null | pith unzip - -o - && echo
                pith zip f --level fast -o - --quiet > sent && pith unzip sent -o /dev/stdout | cat
                """
            #expect(try Program.shell(line, in: folder).output.contains("discarded\none two three\none two three"))
        }
    }

    @Test func namesAreBytes() throws {
        try TestData.withTemporaryFolder { folder in
            let line = """
                name=$(printf 'caf\\351'); mkdir in; echo x > "in/$name"; ln -s "$name" in/link; printf e > "$name"
                pith zip in --level fast --quiet > /dev/null && pith unzip in.pith -o out && cat "out/in/$name" out/in/link
                pith zip "$name" --level fast --quiet > /dev/null && rm "$name" && pith unzip "$name.pith" && cat "$name"
                """
            #expect(try Program.shell(line, in: folder).output == "x\nx\ne")
            let list = try Program.run(["unzip", "in.pith", "--list"], in: folder)
            #expect(list.output.contains("in/caf\\xE9"))
            let json = try Program.run(["unzip", "in.pith", "--list", "--json"], in: folder)
            #expect(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) is [String: Any])
        }
    }

    @Test func namesDoNotReachTheTerminalRaw() throws {
        try TestData.withTemporaryFolder { folder in
            let name = "a\u{1B}[31mred\u{7}\nb"
            let ending = try Program.run(["zip", name], in: folder)
            #expect(ending.status == 65 && ending.errors.contains("\\u{1B}[31mred\\u{7}\\u{A}b"))
            #expect(!ending.errors.contains("\u{1B}"))
        }
    }

    @Test func ownerPermissionsAndTimesOfAFileComeBack() throws {
        try TestData.withTemporaryFolder { folder in
            let line = """
                umask 022; echo secret > f; chmod 640 f; touch -d '2001-02-03 04:05:06.789' f; stat -c '%a %u %y' f
                pith zip f --level fast --quiet > /dev/null && stat -c '%a %u %y' f.pith && rm f && pith unzip f.pith
                stat -c '%a %u %y' f
                """
            let lines = try Program.shell(line, in: folder).output.split(separator: "\n")
            #expect(lines.count == 3 && lines[0] == lines[1] && lines[0] == lines[2], "\(lines)")
        }
    }

    @Test func tooMuchIsRefusedAndSaysHowItIsAllowed() throws {
        try TestData.withTemporaryFolder { folder in
            try AtomicFile.write([UInt8](repeating: 0, count: 3_000_000), to: joinPath(folder, "zeros"))
            #expect(try Program.run(["zip", "zeros", "--level", "fast"], in: folder).status == 0)
            let refused = try Program.run(["unzip", "zeros.pith", "-o", "out", "--output-limit", "1MB"], in: folder)
            #expect(refused.status == 65 && refused.errors.contains("--output-limit"))
            #expect(!Files.exists(joinPath(folder, "out")))
            #expect(
                try Program.run(["unzip", "zeros.pith", "-o", "out", "--output-limit", "3MB"], in: folder).status == 0)
            for (command, limit) in [("zip", "30MB"), ("unzip", "20MB")] {
                let ending = try Program.run(
                    [
                        command, command == "zip" ? "zeros" : "zeros.pith", "-o", "o", "--memory-limit", limit,
                        "--force",
                    ],
                    in: folder)
                #expect(ending.status == 64 && ending.errors.contains("--memory-limit"), "\(ending.errors)")
            }
        }
    }
}
