use super::*;
use std::fs;
use std::os::unix::fs::symlink;

/// A tree from `path contents` pairs; a path that ends in `/` is a directory.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.as_os_str().as_bytes().ends_with(b"/") {
            fs::create_dir_all(&path).unwrap();
        } else {
            fs::write(&path, text).unwrap();
        }
    }
    dir
}

fn names(walked: &Walked) -> Vec<&str> {
    walked.files.iter().map(|file| file.path.as_str()).collect()
}

fn check(files: &[(&str, &str)], expected: &[&str]) {
    check_with(files, &WalkOptions::default(), expected);
}

fn check_with(files: &[(&str, &str)], options: &WalkOptions, expected: &[&str]) {
    let dir = tree(files);
    for threads in [1, 4] {
        let walked = walk(dir.path(), &[], &WalkOptions { threads, ..options.clone() }).unwrap();
        assert_eq!(names(&walked), expected);
    }
}

#[test]
fn sources_and_skipped_directories() {
    check(
        &[
            ("a.py", ""),
            ("b.pyi", ""),
            ("c.pyw", ""),
            ("d.txt", ""),
            ("pkg/e.py", ""),
            ("pkg-x/f.py", ""),
            ("build/g.py", ""),
            (".venv/no.py", ""),
            ("node_modules/no.py", ""),
            ("x/__pycache__/no.py", ""),
            ("lib/site-packages/no.py", ""),
            ("venv/no.py", ""),
            ("lib/venv/__init__.py", ""),
            ("myenv/pyvenv.cfg", ""),
            ("myenv/no.py", ""),
            ("target/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n"),
            ("target/no.py", ""),
            ("tagged/CACHEDIR.TAG", "something else"),
            ("tagged/yes.py", ""),
        ],
        &[
            "a.py",
            "b.pyi",
            "build/g.py",
            "c.pyw",
            "lib/venv/__init__.py",
            "pkg-x/f.py",
            "pkg/e.py",
            "tagged/yes.py",
        ],
    );
    assert!(SKIPPED_DIRS.is_sorted());
}

#[test]
fn gitignore_precedence() {
    // The inner file wins over the outer, a later line over an earlier, a directory that is left out hides its content.
    check(
        &[
            (".gitignore", "\u{feff}*.gen.py\n/only_root.py\nout/\n!out/kept.py\n# comment\n"),
            ("a.gen.py", ""),
            ("only_root.py", ""),
            ("sub/only_root.py", ""),
            ("sub/.gitignore", "!b.gen.py\nc.py\n"),
            ("sub/b.gen.py", ""),
            ("sub/deep/b.gen.py", ""),
            ("sub/c.py", ""),
            ("sub/d.gen.py", ""),
            ("out/kept.py", ""),
        ],
        &["sub/b.gen.py", "sub/deep/b.gen.py", "sub/only_root.py"],
    );
    check(
        &[(".git/info/exclude", "a.py\nb.py\n"), (".gitignore", "!b.py\n"), ("a.py", ""), ("b.py", "")],
        &["b.py"],
    );
    // A repository inside starts afresh.
    check(
        &[(".gitignore", "a.py\n"), ("a.py", ""), ("inner/.git/HEAD", ""), ("inner/a.py", "")],
        &["inner/a.py"],
    );
    check_with(
        &[(".gitignore", "a.py\n"), ("a.py", "")],
        &WalkOptions { respect_gitignore: false, ..WalkOptions::default() },
        &["a.py"],
    );
}

#[test]
fn gitignore_of_parents() {
    let dir = tree(&[
        (".git/HEAD", ""),
        (".git/info/exclude", "e.py\n"),
        (".gitignore", "a.py\n/whole/\n"),
        ("mid/.gitignore", "b.py\n!/x/a.py\n"),
        ("mid/x/a.py", ""),
        ("mid/x/b.py", ""),
        ("mid/x/c.py", ""),
        ("mid/x/e.py", ""),
        ("whole/a.py", ""),
    ]);
    let at = |root: &str, paths: &[&str]| {
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        let walked = walk(&dir.path().join(root), &paths, &WalkOptions::default()).unwrap();
        names(&walked).join(" ")
    };
    assert_eq!(at("", &[]), "mid/x/a.py mid/x/c.py");
    assert_eq!(at("mid/x", &[]), "a.py c.py");
    assert_eq!(at("", &["mid/x", "mid/x/c.py", "mid"]), "mid/x/a.py mid/x/c.py");
    assert_eq!(at("", &["mid/x/b.py"]), "mid/x/b.py", "named, so walked");
    assert_eq!(at("", &["whole"]), "whole/a.py", "named, so walked");
    assert_eq!(at("whole", &[]), "a.py");
}

#[test]
fn a_worktree_has_its_repositorys_exclude() {
    let dir = tree(&[
        ("main/.git/info/exclude", "a.py\n"),
        ("main/.git/worktrees/w/commondir", "../..\n"),
        ("w/a.py", ""),
        ("w/b.py", ""),
    ]);
    let git_dir = dir.path().join("main/.git/worktrees/w");
    fs::write(dir.path().join("w/.git"), format!("gitdir: {}\n", git_dir.display())).unwrap();
    let walked = walk(&dir.path().join("w"), &[], &WalkOptions::default()).unwrap();
    assert_eq!(names(&walked), ["b.py"]);
}

#[test]
fn exclude_and_include() {
    let files = [
        (".gitignore", "gen.py\n"),
        ("a.py", ""),
        ("gen.py", ""),
        ("t/b.py", ""),
        ("t/u/c.py", ""),
        ("v/d.py", ""),
    ];
    for (exclude, include, expected) in [
        (&["t/"][..], &[][..], "a.py v/d.py"),
        (&["/t/u", "a.*"], &[], "t/b.py v/d.py"),
        (&["!gen.py"], &[], "a.py gen.py t/b.py t/u/c.py v/d.py"),
        (&[], &["t/"], "t/b.py t/u/c.py"),
        (&["u"], &["t/**", "/a.py"], "a.py t/b.py"),
        (&[], &["gen.py"], ""),
    ] {
        let strings = |globs: &[&str]| globs.iter().map(ToString::to_string).collect();
        let options =
            WalkOptions { exclude: strings(exclude), include: strings(include), ..WalkOptions::default() };
        let expected: Vec<&str> = expected.split_whitespace().collect();
        check_with(&files, &options, &expected);
    }
    let bad = WalkOptions { exclude: vec!["a[".into()], ..WalkOptions::default() };
    assert!(matches!(walk(tree(&[]).path(), &[], &bad), Err(WalkError::Glob { .. })));
}

#[test]
fn links_and_special_files_are_problems() {
    let outside = tree(&[("o.py", "")]);
    let dir = tree(&[("pkg/a.py", ""), ("data.txt", "")]);
    let root = dir.path();
    symlink("pkg", root.join("inside")).unwrap();
    symlink("..", root.join("pkg/up")).unwrap();
    symlink("pkg/a.py", root.join("inside.py")).unwrap();
    symlink("loop.py", root.join("loop.py")).unwrap();
    symlink("nowhere", root.join("broken.py")).unwrap();
    symlink("nowhere", root.join("not_python")).unwrap();
    symlink("data.txt", root.join("data_link")).unwrap();
    symlink(outside.path(), root.join("outside")).unwrap();
    symlink(outside.path(), root.join(".venv")).unwrap();
    fs::create_dir(root.join("dir.py")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(root.join("socket.py")).unwrap());
    assert!(std::process::Command::new("mkfifo").arg(root.join("fifo.py")).status().unwrap().success());
    assert!(std::process::Command::new("mkfifo").arg(root.join(".gitignore")).status().unwrap().success());
    let walked = walk(root, &[], &WalkOptions::default()).unwrap();
    assert_eq!(names(&walked), ["pkg/a.py"]);
    let problems: Vec<String> = walked
        .problems
        .iter()
        .map(|problem| {
            let reason = match &problem.reason {
                SkipReason::SymlinkInside(target) => format!("inside {target}"),
                SkipReason::SymlinkOutside(_) => "outside".to_owned(),
                reason => reason.to_string(),
            };
            format!("{}: {reason}", problem.path)
        })
        .collect();
    assert_eq!(
        problems,
        [
            "broken.py: symbolic link that leads nowhere",
            "fifo.py: a FIFO, not a regular file",
            "inside: inside pkg",
            "inside.py: inside pkg/a.py",
            "loop.py: symbolic link that leads nowhere",
            "outside: outside",
            "pkg/up: inside ",
            "socket.py: a socket, not a regular file",
        ]
    );
}

#[test]
fn odd_names_survive() {
    let dir = tree(&[("a/x.py", "")]);
    for name in [&b"latin\xe4.py"[..], b"new\nline.py", b"back\\slash.py"] {
        fs::write(dir.path().join("a").join(OsStr::from_bytes(name)), "").unwrap();
    }
    let walked = walk(dir.path(), &[], &WalkOptions::default()).unwrap();
    assert_eq!(names(&walked), ["a/back\\\\slash.py", "a/latin\\xe4.py", "a/new\\x0aline.py", "a/x.py"]);
    assert!(walked.files.iter().all(|file| file.os_path(&walked.root).is_file()));
}

#[test]
fn what_cannot_be_walked_is_an_error() {
    let dir = tree(&[("a.py", ""), ("sub/b.py", ""), ("script", "")]);
    let root = dir.path();
    let error =
        |root: &Path, path: &str| walk(root, &[PathBuf::from(path)], &WalkOptions::default()).unwrap_err();
    assert!(matches!(error(root, "missing"), WalkError::Path { .. }));
    assert!(matches!(error(&root.join("missing"), ""), WalkError::Path { .. }));
    assert!(matches!(error(&root.join("a.py"), "."), WalkError::NotADirectory(_)));
    assert!(matches!(error(&root.join("sub"), "../a.py"), WalkError::Outside { .. }));
    let named = walk(root, &["script".into()], &WalkOptions::default()).unwrap();
    assert_eq!((names(&named), named.files[0].kind), (vec!["script"], FileKind::Py));
}

#[test]
fn a_tree_deeper_than_a_path_may_be_is_a_problem() {
    let dir = tempfile::tempdir().unwrap();
    // The kernel refuses such a path as a whole, so it is built step by step.
    let script =
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22; do mkdir $N; cd -P $N; done";
    let name = "d".repeat(200);
    let made = std::process::Command::new("bash")
        .args(["-c", script])
        .env("N", name)
        .current_dir(dir.path())
        .status();
    assert!(made.unwrap().success());
    let walked = walk(dir.path(), &[], &WalkOptions::default()).unwrap();
    assert_eq!(walked.problems.len(), 1);
    assert!(matches!(walked.problems[0].reason, SkipReason::Unreadable(_)));
    assert!(
        std::process::Command::new("rm").arg("-rf").arg(dir.path().join("d".repeat(200))).status().is_ok()
    );
}

/// Sets a directory's times into the past is not possible for ctime; pretending the walk began later is.
fn settled(walked: &Walked, known: &Listings) -> Listings {
    let later = walked.started_ns + 2 * COARSE_NS;
    let mut found = Found::default();
    let options = WalkOptions::default();
    let walker = Walker {
        root: &walked.root,
        filter: Filter::new(&options).unwrap(),
        options: &options,
        known: Some(known),
    };
    let mut tasks = vec![walker.named_dir(walked.root.clone(), String::new(), &mut found)];
    while let Some(task) = tasks.pop() {
        walker.visit(task, &mut tasks, &mut found);
    }
    known.next(&found.reused, &found.fresh, later)
}

#[test]
fn known_listings_give_the_same_walk() {
    let dir = tree(&[("a.py", ""), ("p/b.py", ""), ("p/q/c.py", ""), (".gitignore", "ignored.py\n")]);
    let walk_with =
        |known: &Listings| walk_known(dir.path(), &[], &WalkOptions::default(), Some(known)).unwrap();
    let first = walk_with(&Listings::default());
    assert_eq!(first.listings.as_ref().map(Listings::len), Some(0), "too young to be kept");
    let known = settled(&first, &Listings::default());
    assert_eq!(known.len(), 3);
    let known = Listings::decode(known.encode().to_vec()).unwrap();
    let again = walk_with(&known);
    assert!(again.listings.is_none(), "nothing new to keep");
    assert_eq!(again.files, first.files);

    fs::write(dir.path().join("p/q/new.py"), "").unwrap();
    fs::write(dir.path().join("p/b.py"), "longer").unwrap();
    fs::write(dir.path().join(".gitignore"), "c.py\n").unwrap();
    fs::create_dir(dir.path().join("r")).unwrap();
    fs::write(dir.path().join("r/d.py"), "").unwrap();
    let changed = walk_with(&known);
    assert_eq!(names(&changed), ["a.py", "p/b.py", "p/q/new.py", "r/d.py"]);
    assert_eq!(changed.files[1].stat.size, 6);
    assert!(changed.listings.is_some());

    let bytes = known.encode();
    for cut in 0..bytes.len() {
        assert!(Listings::decode(bytes[..cut].to_vec()).is_none(), "cut at {cut}");
    }
}
