//! Checks the library's imports against the table of layers in `src/lib.rs`.
//!
//! An import is a `use`, or a path in the code, outside of tests. It counts for the file that
//! defines the name: re-exports are followed. Imports by macros and globs are not seen. An `impl`
//! of a type in a file below the type's own (`session/requests.rs` has a part of `Session`) is a
//! part of the type, not an import of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use syn::{
    Attribute, Item, ItemImpl, ItemMod, ItemUse, Type, UseTree,
    visit::{self, Visit},
};

/// The largest number of files that may import each other in a circle.
const CYCLE_FILES_MAX: usize = 3;

/// A module by its path from the crate's root, such as `["server", "log"]`.
type ModulePath = Vec<String>;

/// The parsed contents of one file.
#[derive(Default)]
struct Module {
    /// Paths that it names, from the crate's root, each with its last name.
    paths: Vec<ModulePath>,
    /// Types that it implements something for.
    extends: BTreeSet<String>,
    /// Names that it brings into scope, with their paths.
    names: BTreeMap<String, ModulePath>,
}

/// The library's modules, tests left out.
struct Library {
    modules: BTreeMap<ModulePath, Module>,
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test") || path.is_ident("doc"))
    })
}

impl Library {
    /// Reads a crate from its root file, module by module.
    fn read(root: &Path) -> Self {
        let mut library = Self {
            modules: BTreeMap::new(),
        };
        let directory = root.parent().expect("a file is in a directory");
        library.read_file(root, directory, &[]);
        library
    }

    /// `directory`: where the files of the module's children are.
    fn read_file(&mut self, file: &Path, directory: &Path, path: &[String]) {
        let text = fs::read_to_string(file).expect("a source file");
        let (module, children) = parse(&text, path);
        self.modules.insert(path.to_vec(), module);
        for child in children {
            let flat = directory.join(format!("{child}.rs"));
            let nested = directory.join(&child).join("mod.rs");
            let file = if flat.exists() { flat } else { nested };
            let directory = directory.join(&child);
            self.read_file(&file, &directory, &[path, &[child]].concat());
        }
    }

    /// Returns the module that defines a path's name.
    fn definer(&self, path: &[String]) -> Option<&ModulePath> {
        let mut path = path.to_vec();
        // A re-export of a re-export of a …
        for _ in 0..8 {
            let deepest = (0..=path.len())
                .rev()
                .find_map(|length| self.modules.get_key_value(&path[..length]))?;
            let (module, found) = deepest;
            let Some(name) = path.get(module.len()) else {
                return Some(module);
            };
            match found.names.get(name) {
                Some(source) if *source != path[..=module.len()] => {
                    path = [&source[..], &path[module.len() + 1..]].concat();
                }
                _ => return (!module.is_empty()).then_some(module),
            }
        }
        None
    }

    /// Returns every module with its imports.
    fn imports(&self) -> BTreeMap<&ModulePath, BTreeSet<&ModulePath>> {
        self.modules
            .iter()
            .filter(|(path, _)| !path.is_empty())
            .map(|(path, module)| {
                let definers = module.paths.iter().filter_map(|used| {
                    let definer = self.definer(used)?;
                    let is_part = path.starts_with(definer)
                        && used.iter().any(|name| module.extends.contains(name));
                    (definer != path && !is_part).then_some(definer)
                });
                (path, definers.collect())
            })
            .collect()
    }
}

/// Parses a file: returns its module, and the children that it declares in files of their own.
fn parse(text: &str, path: &[String]) -> (Module, Vec<String>) {
    let file = syn::parse_file(text).expect("the compiler reads it");
    let mut reader = FileReader {
        path,
        module: Module::default(),
        children: Vec::new(),
        unresolved: Vec::new(),
    };
    for item in &file.items {
        reader.visit_item(item);
    }
    let FileReader {
        mut module,
        children,
        unresolved,
        ..
    } = reader;
    // Paths whose first name was brought into scope, or is a child.
    for used in unresolved {
        let first = &used[0];
        if let Some(source) = module.names.get(first) {
            module.paths.push([&source[..], &used[1..]].concat());
        } else if children.contains(first) {
            module.paths.push([path, &used[..]].concat());
        }
    }
    (module, children)
}

struct FileReader<'a> {
    path: &'a [String],
    module: Module,
    children: Vec<String>,
    /// Paths that begin with a name in scope.
    unresolved: Vec<Vec<String>>,
}

impl FileReader<'_> {
    /// From the crate's root; `None` for other crates and for names in scope.
    fn absolute(&self, path: &[String]) -> Option<ModulePath> {
        let supers = path.iter().take_while(|name| *name == "super").count();
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([self.path, &path[1..]].concat()),
            "super" => {
                let parents = self.path.len().checked_sub(supers)?;
                Some([&self.path[..parents], &path[supers..]].concat())
            }
            _ => None,
        }
    }

    fn note(&mut self, path: Vec<String>) {
        match self.absolute(&path) {
            Some(path) => self.module.paths.push(path),
            None => self.unresolved.push(path),
        }
    }

    fn note_use(&mut self, tree: &UseTree, mut prefix: Vec<String>) {
        let mut bring = |prefix: Vec<String>, alias: String| {
            let path = match self.absolute(&prefix) {
                Some(path) => path,
                None if self.children.contains(&prefix[0]) => [self.path, &prefix[..]].concat(),
                None => return,
            };
            self.module.names.insert(alias, path.clone());
            self.module.paths.push(path);
        };
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.note_use(&path.tree, prefix);
            }
            UseTree::Name(name) if name.ident == "self" => {
                let alias = prefix.last().cloned().unwrap_or_default();
                bring(prefix, alias);
            }
            UseTree::Name(name) => {
                prefix.push(name.ident.to_string());
                bring(prefix, name.ident.to_string());
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    prefix.push(rename.ident.to_string());
                }
                bring(prefix, rename.rename.to_string());
            }
            UseTree::Glob(_) => bring(prefix, "*".to_owned()),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.note_use(tree, prefix.clone());
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for FileReader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = match item {
            Item::Const(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        match &item.content {
            None => self.children.push(item.ident.to_string()),
            // An inline module: its `super` is this file.
            Some(_) => visit::visit_item_mod(self, item),
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if let Type::Path(path) = &*item.self_ty
            && let Some(last) = path.path.segments.last()
        {
            self.module.extends.insert(last.ident.to_string());
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.note_use(&item.tree, Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        let names: Vec<_> = names.collect();
        if names.len() > 1 {
            self.note(names);
        }
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(in crate::server)` imports nothing.
    }
}

/// The layers of the table in `src/lib.rs`: each with its modules, from the ground up.
fn layers(source: &str) -> Vec<Vec<ModulePath>> {
    let table = source
        .split_once("//! # The layers")
        .expect("src/lib.rs has a section on layers")
        .1;
    let rows = table
        .lines()
        .skip_while(|line| !line.starts_with("//! |---"))
        .skip(1)
        .take_while(|line| line.starts_with("//! |"));
    rows.map(|row| {
        let modules = row.split('|').nth(1).expect("the row's first cell");
        let names = modules.split('`').skip(1).step_by(2);
        names
            .map(|name| name.split("::").map(str::to_owned).collect())
            .collect()
    })
    .collect()
}

/// Returns a module's layer: the row with the longest path that leads to it.
fn layer_of(layers: &[Vec<ModulePath>], module: &[String]) -> Option<usize> {
    let rows = layers.iter().enumerate().flat_map(|(layer, paths)| {
        paths
            .iter()
            .filter(|path| module.starts_with(path))
            .map(move |path| (path.len(), layer))
    });
    rows.max().map(|(_, layer)| layer)
}

/// Lists imports of a higher layer by a lower one, in words.
fn upward(library: &Library, layers: &[Vec<ModulePath>]) -> Vec<String> {
    let mut found = Vec::new();
    for (importer, imported) in library.imports() {
        for module in imported {
            let (from, to) = (layer_of(layers, importer), layer_of(layers, module));
            if from.is_none() || to.is_none() || from < to {
                found.push(format!(
                    "{} imports {}",
                    importer.join("::"),
                    module.join("::")
                ));
            }
        }
    }
    found
}

/// Returns the sets of modules that import each other in circles.
fn cycles(library: &Library) -> Vec<Vec<String>> {
    let imports = library.imports();
    let reachable = |from: &ModulePath| {
        let mut reached: BTreeSet<&ModulePath> = BTreeSet::new();
        let mut waiting: Vec<_> = imports[from].iter().copied().collect();
        while let Some(module) = waiting.pop() {
            if reached.insert(module) {
                waiting.extend(&imports[module]);
            }
        }
        reached
    };
    let reach: BTreeMap<_, _> = imports
        .keys()
        .map(|from| (*from, reachable(from)))
        .collect();
    let circles: BTreeSet<Vec<String>> = reach
        .iter()
        .filter(|(module, reached)| reached.contains(**module))
        .map(|(module, reached)| {
            let mutual = reached
                .iter()
                .filter(|other| reach[**other].contains(*module));
            mutual.map(|other| other.join("::")).collect()
        })
        .collect();
    circles.into_iter().collect()
}

fn library() -> (Library, Vec<Vec<ModulePath>>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let table = fs::read_to_string(&root).expect("src/lib.rs");
    (Library::read(&root), layers(&table))
}

#[test]
fn no_layer_imports_a_higher_one() {
    let (library, layers) = library();
    assert!(library.modules.len() > 200, "{}", library.modules.len());
    let found = upward(&library, &layers);
    assert!(
        found.is_empty(),
        "{} imports:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn files_import_each_other_in_small_circles_only() {
    let (library, _) = library();
    let large: Vec<_> = cycles(&library)
        .into_iter()
        .filter(|circle| circle.len() > CYCLE_FILES_MAX)
        .map(|circle| format!("{} files: {}", circle.len(), circle.join(", ")))
        .collect();
    assert!(large.is_empty(), "{}", large.join("\n"));
}

/// Tests of the check itself: a small crate with an import of each form.
mod examples {
    use super::*;

    fn write(directory: &Path, name: &str, text: &str) {
        let file = directory.join(name);
        let parent = file.parent().expect("a file is in a directory");
        fs::create_dir_all(parent).expect("a directory");
        fs::write(file, text).expect("a file");
    }

    fn check(files: &[(&str, &str)]) -> (Vec<String>, Vec<Vec<String>>) {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            write(directory.path(), name, text);
        }
        let library = Library::read(&directory.path().join("lib.rs"));
        let layers = [vec![vec!["low".to_owned()]], vec![vec!["high".to_owned()]]];
        (upward(&library, &layers), cycles(&library))
    }

    const LIB: (&str, &str) = ("lib.rs", "mod high;\nmod low;\n");

    #[test]
    fn every_form_of_an_upward_import_is_found() {
        for low in [
            "use crate::high::Thing;",
            "use super::high::Thing;",
            "use crate::{high::{Thing as Other}, std::fmt};",
            "use crate::high; fn f() -> high::Thing { todo!() }",
            "fn f() { crate::high::run() }",
            "struct S(super::high::Thing);",
            "use crate::high::*;",
            "mod inner { use crate::high::Thing; }",
        ] {
            let (found, _) = check(&[LIB, ("high.rs", "pub struct Thing;"), ("low.rs", low)]);
            assert_eq!(found, ["low imports high"], "{low}");
        }
    }

    #[test]
    fn text_that_is_no_import_is_ignored() {
        for low in [
            "#[cfg(test)] use crate::high::Thing;",
            "#[cfg(test)] mod tests { use crate::high::Thing; }",
            "#[cfg(doc)] use crate::high::Thing;",
            "pub(in crate::high) struct S;",
            "use std::high::Thing;",
        ] {
            let (found, _) = check(&[LIB, ("high.rs", "use crate::low::X;"), ("low.rs", low)]);
            assert_eq!(found, [""; 0], "{low}");
        }
    }

    #[test]
    fn a_reexport_counts_for_the_file_that_defines_the_name() {
        let files = [
            LIB,
            ("high.rs", "mod a;\nmod b;\npub use a::Thing;"),
            ("high/a.rs", "pub struct Thing;"),
            ("high/b.rs", "use super::Thing;"),
            ("low.rs", ""),
        ];
        // `b` imports `a` and not its parent, which would be a circle.
        assert_eq!(check(&files), (vec![], vec![]));
    }

    #[test]
    fn a_part_of_a_type_is_no_import_of_it() {
        let part = "use super::{Thing, other}; impl Thing { fn f() { other() } }";
        for (part, circle) in [(part, 1), (&part.replace("other", "Thing"), 0)] {
            let files = [
                LIB,
                ("high.rs", "mod a;\nuse self::a::A;\nstruct Thing;"),
                ("high/a.rs", part),
                ("low.rs", ""),
            ];
            assert_eq!(check(&files).1.len(), circle, "{part}");
        }
    }

    #[test]
    fn circles_are_found_with_all_their_files() {
        let files = [
            LIB,
            ("high.rs", "mod a;\nmod b;\nmod c;\nuse self::a::A;"),
            ("high/a.rs", "use super::b::B;"),
            ("high/b.rs", "use super::c::C;"),
            ("high/c.rs", "fn f() { super::start() }"),
            ("low.rs", ""),
        ];
        let circle = ["high", "high::a", "high::b", "high::c"].map(str::to_owned);
        assert_eq!(check(&files).1, [circle.to_vec()]);
    }
}
