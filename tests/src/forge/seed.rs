//! The sample repository and its issue.

use super::{Forge, git, state::Issue};

const OWNER: &str = "octo-demo";
const NAME: &str = "greeter";
const FILES: [(&str, &str); 4] = [
    (
        "README.md",
        "# greeter\n\nGreets people by name.\n\n    ./greet.sh Ada\n\n`./test.sh` runs the tests.\n",
    ),
    ("greet.sh", "#!/bin/sh\n# Greets whoever is named.\nname=$1\necho \"Hello, nmae!\"\n"),
    (
        "test.sh",
        "#!/bin/sh\n# Fails loudly if greet.sh does not greet.\nset -eu\ncd \"$(dirname \"$0\")\"\n\
      said=$(sh ./greet.sh Ada)\n[ \"$said\" = \"Hello, Ada!\" ] || { echo \"said: $said\"; exit 1; }\necho ok\n",
    ),
    ("AGENTS.md", "Run ./test.sh before you say that you are done.\n"),
];

impl Forge {
    /// Makes them, unless they are there.
    pub async fn seed_demo(&self) -> anyhow::Result<()> {
        let bare = self.data.join("git").join(OWNER).join(format!("{NAME}.git"));
        if bare.exists() {
            return Ok(());
        }
        let work = self.data.join("seed");
        std::fs::create_dir_all(&work)?;
        for (name, text) in FILES {
            std::fs::write(work.join(name), text)?;
        }
        git(&work, &["init", "--quiet"]).await?;
        git(&work, &["add", "."]).await?;
        git(&work, &["update-index", "--chmod=+x", "greet.sh", "test.sh"]).await?;
        git(
            &work,
            &[
                "-c",
                "user.name=Octo",
                "-c",
                "user.email=octo@localhost",
                "commit",
                "--quiet",
                "-m",
                "Greet people by name",
            ],
        )
        .await?;
        std::fs::create_dir_all(bare.parent().unwrap_or(&self.data))?;
        let (from, to) = (work.to_string_lossy(), bare.to_string_lossy());
        git(&self.data, &["clone", "--quiet", "--bare", &from, &to]).await?;
        std::fs::remove_dir_all(work)?;
        self.change(|kept| {
            kept.issues.push(Issue {
                repo: format!("{OWNER}/{NAME}"),
                number: 1,
                title: "greet.sh greets nobody by name".to_owned(),
                body: "`./greet.sh Ada` prints `Hello, nmae!` where it should print `Hello, Ada!`.\n\n\
                       `./test.sh` fails because of it."
                    .to_owned(),
                created_at: "2024-01-01T00:00:00Z".to_owned(),
            });
        })?;
        Ok(())
    }
}
